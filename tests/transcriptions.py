"""Literal NumPy transcriptions of published transforms that no package has.

They are oracles: one clip at a time, loops where the definition has them, and
nothing shared with skeljax. pyskl is no pip package and mmaction2 1.x does not
have the transforms of 0.x, so these cannot be compared live with the original;
they follow its definitions line by line, in words of our own.
"""

import numpy as np


def pyskl_pre_normalize_2d(
  keypoint, score=None, *, mode, img_shape=(1080, 1920), threshold=0.01
):
  """PreNormalize2D of pyskl; modes 'fix' and 'auto'.

  Args:
    keypoint: [M, T, V, 2].
    score: [M, T, V] or None.
    mode: by the image size, or by the box of the clip.
    img_shape: (height, width).
    threshold: points with this score or less are set to zero.

  Returns:
    [M, T, V, 2 or 3] float32; the third channel is the score.
  """
  result = keypoint.astype(np.float32)
  points = [result[index] for index in np.ndindex(result.shape[:3])]
  if score is not None:
    score = score.astype(np.float32)
    seen = [s > threshold for s in score.ravel()]
    points = [point for point, s in zip(points, seen) if s]
  if mode == 'fix':
    height, width = img_shape
    centre = np.float32([width / 2, height / 2])
    result = (result - centre) / centre
  elif points:
    high, low = np.max(points, axis=0), np.min(points, axis=0)
    if (high - low)[0] > 10 and (high - low)[1] > 10:
      result = (result - (high + low) / 2) / (high - low) * 2
  if score is None:
    return result
  for index in np.ndindex(result.shape[:3]):
    if score[index] <= threshold:
      result[index] = 0
  return np.concatenate([result, score[..., None]], axis=-1)


def pyskl_test_frames(total_frames, clip_len, num_clips):
  """Test indices of pyskl's UniformSampleFrames with p_interval 1.

  Returns:
    [num_clips, clip_len] integers.
  """
  n = total_frames
  state = np.random.get_state()
  np.random.seed(255)
  clips = []
  for i in range(num_clips):
    # The interval that is looked at: a share of the clip, and its first frame.
    share = np.random.rand() * (1 - 1) + 1
    first = np.random.randint(n - int(share * n) + 1)
    if n < clip_len:
      start = i if n < num_clips else i * n // num_clips
      frames = [start + t for t in range(clip_len)]
    elif n < 2 * clip_len:
      skipped = np.random.choice(clip_len + 1, n - clip_len, replace=False)
      frames = []
      for t in range(clip_len):
        frames.append(t + sum(1 for place in skipped if place <= t))
    else:
      bounds = [t * n // clip_len for t in range(clip_len + 1)]
      sizes = [b - a for a, b in zip(bounds, bounds[1:])]
      frames = np.add(bounds[:-1], np.random.randint(sizes))
    clips.append([(first + frame) % n for frame in frames])
  np.random.set_state(state)
  return np.array(clips)


def padding_with_loop(total_frames, clip_len):
  """[clip_len] indices of PaddingWithLoop of mmaction2 0.x."""
  return np.array([t % total_frames for t in range(clip_len)])


def pose_normalize_0x(x, img_shape=(1080, 1920)):
  """PoseNormalize of mmaction2 0.x on [..., 3] (x, y, score); float32."""
  height, width = img_shape
  mean = np.float32([width / 2, height / 2, 0.5])
  low, high = np.float32([0, 0, 0]), np.float32([width, height, 1])
  return (x.astype(np.float32) - mean) / (high - low)


def streams(x, pairs, stream, has_score):
  """GenSkeFeat on all frames: joints, bones, or the motion of either.

  Args:
    x: [M, T, V, C].
    pairs: (joint, parent), every joint once; a root is its own parent.
    stream: 'joint', 'bone', 'joint_motion' or 'bone_motion'.
    has_score: the last channel is a score, of which the mean is taken.
  """
  if stream.startswith('bone'):
    bones = np.zeros_like(x)
    for joint, parent in pairs:
      bones[:, :, joint] = x[:, :, joint] - x[:, :, parent]
      if has_score:
        mean = (x[:, :, joint, -1] + x[:, :, parent, -1]) / 2
        bones[:, :, joint, -1] = mean
    x = bones
  if stream.endswith('motion'):
    motion = np.zeros_like(x)
    for t in range(x.shape[1] - 1):
      motion[:, t] = x[:, t + 1] - x[:, t]
      if has_score:
        motion[:, t, :, -1] = (x[:, t, :, -1] + x[:, t + 1, :, -1]) / 2
    x = motion
  return x

"""The published layouts, as arguments of `layout.Layout`.

Joints are counted from 0, in the order of the arrays that the dataset or the
pose estimator writes.

Sources: the layouts and edge lists of mmaction2 0.x and 1.x, the hand layout of
pyskl, the 20 joints of Northwestern-UCLA, and the landmarks of MediaPipe Pose.
"""

from typing import Any

Pairs = tuple[tuple[int, int], ...]


def _pairs(text: str, first: int = 0) -> Pairs:
  """Parse joint pairs like '1-0 2-0', counted from `first`."""
  pairs = (pair.split('-') for pair in text.split())
  return tuple((int(a) - first, int(b) - first) for a, b in pairs)


def _names(text: str) -> tuple[str, ...]:
  return tuple(name.strip() for name in text.split(','))


# Counted from 1, as published. The two lists differ at the hands.
_NTU_BODY = _pairs(
  """1-2 2-21 3-21 4-3 5-21 6-5 7-6 8-7 9-21 10-9 11-10 12-11
  13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19""",
  first=1,
)
_NTU_HANDS_1X = _pairs('22-8 23-8 24-12 25-12', first=1)
_NTU_HANDS_0X = _pairs('22-23 23-8 24-25 25-12', first=1)

_NTURGBD = dict(
  name='nturgb+d',
  joints=_names(
    """base of spine, middle of spine, neck, head,
    left shoulder, left elbow, left wrist, left hand,
    right shoulder, right elbow, right wrist, right hand,
    left hip, left knee, left ankle, left foot,
    right hip, right knee, right ankle, right foot, top of spine,
    left hand tip, left thumb, right hand tip, right thumb"""
  ),
  # NOTE: the bones follow the 0.x hand edges even where the graph is 1.x.
  bones=_NTU_BODY + _NTU_HANDS_0X,
  edges=_NTU_BODY + _NTU_HANDS_1X,
  edges_0x=_NTU_BODY + _NTU_HANDS_0X,
  center=20,
  left_right=_pairs('4-8 5-9 6-10 7-11 12-16 13-17 14-18 15-19 21-23 22-24'),
  limbs=_NTU_BODY + _NTU_HANDS_0X,
  origin=1,
  spine=(0, 1),
  shoulders=(8, 4),
)

_COCO = dict(
  name='coco',
  joints=_names(
    """nose, left eye, right eye, left ear, right ear,
    left shoulder, right shoulder, left elbow, right elbow,
    left wrist, right wrist, left hip, right hip,
    left knee, right knee, left ankle, right ankle"""
  ),
  # NOTE: the parent of a hip is the nose here and a shoulder in the graph.
  bones=_pairs(
    '1-0 2-0 3-1 4-2 5-0 6-0 7-5 8-6 9-7 10-8 11-0 12-0 13-11 14-12 15-13 16-14'
  ),
  edges=_pairs(
    '15-13 13-11 16-14 14-12 11-5 12-6 9-7 7-5 10-8 8-6 5-0 6-0 1-0 3-1 2-0 4-2'
  ),
  edges_0x=_pairs(
    """15-13 13-11 16-14 14-12 11-12 5-11 6-12 5-6 7-5 8-6 9-7 10-8
    1-2 1-0 2-0 3-1 4-2 3-5 4-6"""
  ),
  center=0,
  left_right=_pairs('1-2 3-4 5-6 7-8 9-10 11-12 13-14 15-16'),
  # In the order of the PoseC3D limb configs, which is that of the channels.
  limbs=_pairs(
    """0-5 0-6 5-7 7-9 6-8 8-10 5-11 11-13 13-15 6-12 12-14 14-16
    0-1 0-2 1-3 2-4 11-12"""
  ),
)

_OPENPOSE_BONES = _pairs(
  """1-0 2-1 3-2 4-3 5-1 6-5 7-6 8-2 9-8 10-9 11-5 12-11 13-12
  14-0 15-0 16-14 17-15"""
)

_OPENPOSE = dict(
  name='openpose-18',
  joints=_names(
    """nose, neck, right shoulder, right elbow, right wrist,
    left shoulder, left elbow, left wrist, right hip, right knee, right ankle,
    left hip, left knee, left ankle, right eye, left eye, right ear, left ear"""
  ),
  bones=_OPENPOSE_BONES,
  edges=_pairs(
    """4-3 3-2 7-6 6-5 13-12 12-11 10-9 9-8 11-5 8-2 5-1 2-1 0-1
    15-0 14-0 17-15 16-14"""
  ),
  center=1,
  left_right=_pairs('5-2 6-3 7-4 11-8 12-9 13-10 15-14 17-16'),
  limbs=_OPENPOSE_BONES,
)

_HANDMP_BONES = _pairs(
  """1-0 2-1 3-2 4-3 5-0 6-5 7-6 8-7 9-0 10-9 11-10 12-11
  13-0 14-13 15-14 16-15 17-0 18-17 19-18 20-19"""
)

_HANDMP = dict(
  name='handmp',
  joints=_names(
    """wrist, thumb 1, thumb 2, thumb 3, thumb 4,
    index 1, index 2, index 3, index 4, middle 1, middle 2, middle 3, middle 4,
    ring 1, ring 2, ring 3, ring 4, little 1, little 2, little 3, little 4"""
  ),
  bones=_HANDMP_BONES,
  edges=_HANDMP_BONES,
  center=0,
  limbs=_HANDMP_BONES,
)

_UCLA_BONES = _pairs(
  """1-2 2-3 4-3 5-3 6-5 7-6 8-7 9-3 10-9 11-10 12-11
  13-1 14-13 15-14 16-15 17-1 18-17 19-18 20-19""",
  first=1,
)

_UCLA = dict(
  name='ucla',
  joints=_names(
    """hip centre, spine, shoulder centre, head,
    left shoulder, left elbow, left wrist, left hand,
    right shoulder, right elbow, right wrist, right hand,
    left hip, left knee, left ankle, left foot,
    right hip, right knee, right ankle, right foot"""
  ),
  bones=_UCLA_BONES,
  edges=_UCLA_BONES,
  center=2,
  left_right=_pairs('4-8 5-9 6-10 7-11 12-16 13-17 14-18 15-19'),
  limbs=_UCLA_BONES,
  origin=1,
  spine=(0, 1),
  shoulders=(8, 4),
)

_OPENPOSE_25_BONES = _pairs(
  """4-3 3-2 7-6 6-5 23-22 22-11 24-11 11-10 10-9 9-8 20-19 19-14 21-14 14-13
  13-12 12-8 8-1 5-1 2-1 0-1 15-0 16-0 17-15 18-16"""
)

# BODY_25 of OpenPose, in mmaction2 0.x only. No bones were published.
_OPENPOSE_25 = dict(
  name='openpose-25',
  joints=_names(
    """nose, neck, right shoulder, right elbow, right wrist,
    left shoulder, left elbow, left wrist, middle of hips,
    right hip, right knee, right ankle, left hip, left knee, left ankle,
    right eye, left eye, right ear, left ear,
    left big toe, left small toe, left heel,
    right big toe, right small toe, right heel"""
  ),
  bones=_OPENPOSE_25_BONES,
  edges=_OPENPOSE_25_BONES,
  center=1,
  left_right=_pairs(
    '5-2 6-3 7-4 12-9 13-10 14-11 16-15 18-17 19-22 20-23 21-24'
  ),
  limbs=_OPENPOSE_25_BONES,
)

# NOTE: MediaPipe's own connections do not connect the head and the mouth to the
# body, and they have cycles, which bones cannot have. Here the body is connected
# to the nose, as in COCO, of which these joints are an extension.
_MEDIAPIPE_BONES = _pairs(
  """1-0 2-1 3-2 7-3 4-0 5-4 6-5 8-6 9-0 10-0 11-0 12-0
  13-11 15-13 17-15 19-15 21-15 14-12 16-14 18-16 20-16 22-16
  23-11 25-23 27-25 29-27 31-27 24-12 26-24 28-26 30-28 32-28"""
)

_MEDIAPIPE = dict(
  name='mediapipe',
  joints=_names(
    """nose, left eye inner, left eye, left eye outer,
    right eye inner, right eye, right eye outer, left ear, right ear,
    left mouth, right mouth, left shoulder, right shoulder,
    left elbow, right elbow, left wrist, right wrist,
    left pinky, right pinky, left index, right index, left thumb, right thumb,
    left hip, right hip, left knee, right knee, left ankle, right ankle,
    left heel, right heel, left foot index, right foot index"""
  ),
  bones=_MEDIAPIPE_BONES,
  edges=_MEDIAPIPE_BONES,
  center=0,
  left_right=_pairs(
    """1-4 2-5 3-6 7-8 9-10 11-12 13-14 15-16 17-18 19-20 21-22
    23-24 25-26 27-28 29-30 31-32"""
  ),
  limbs=_MEDIAPIPE_BONES,
)

PUBLISHED: tuple[dict[str, Any], ...] = (
  _NTURGBD,
  _COCO,
  _OPENPOSE,
  _HANDMP,
  _UCLA,
  _OPENPOSE_25,
  _MEDIAPIPE,
)

"""The demo has the format of an annotation file and needs the frame order."""

import functools
import pickle

import flax
import jax
import numpy as np
import optax
import pytest

from data_prep.demo import annotations as demo
from skeljax import errors
from skeljax import models
from skeljax import skeletons
from skeljax.datasets import normalize_3d
from skeljax.skeletons import graph as graph_lib

LAYOUT = skeletons.get_layout('nturgb+d')
TRUNK = [0, 1, 2, 3, 4, 8, 12, 16, 20]


@functools.cache
def annotations(layout_name):
  return demo.make_annotations(layout_name)


def clips(layout_name, split_name):
  content = annotations(layout_name)
  ids = set(content['split'][split_name])
  return [a for a in content['annotations'] if a['frame_dir'] in ids]


@pytest.mark.parametrize('layout_name', demo.LAYOUTS)
def test_demo_is_an_annotation_file(layout_name):
  content = annotations(layout_name)
  ids = [a['frame_dir'] for a in content['annotations']]
  assert len(set(ids)) == len(ids)
  assert content['split']['train'] + content['split']['val'] == ids
  assert content['label_names'] == list(demo.ACTIONS)
  assert 400 <= len(content['split']['train']) <= 700
  assert 200 <= len(content['split']['val']) <= 300
  for split_name in ('train', 'val'):
    labels = [a['label'] for a in clips(layout_name, split_name)]
    assert len(set(np.bincount(labels))) == 1
  joints, channels = (25, 3) if layout_name == 'nturgb+d' else (17, 2)
  persons = set()
  for a in content['annotations']:
    m, frames, *rest = a['keypoint'].shape
    assert rest == [joints, channels] and frames == a['total_frames']
    assert 25 <= frames <= 110
    assert (
      a['keypoint'].dtype == np.float16 and np.isfinite(a['keypoint']).all()
    )
    persons.add(m)
  assert persons == {1, 2}


def test_both_layouts_show_the_same_scenes():
  for depth, image in zip(
    *(annotations(n)['annotations'] for n in demo.LAYOUTS)
  ):
    for field in ('frame_dir', 'label', 'total_frames'):
      assert depth[field] == image[field]
    # Kinect's x points left in the image, y up.
    a = depth['keypoint'][:, :, 16].astype(float)  # Right hip.
    b = image['keypoint'][:, :, 12].astype(float)
    seen = (a[..., 2] != 0) & (b != 0).all(-1)
    u = 960 - 1060 * a[seen][:, 0] / a[seen][:, 2]
    assert np.abs(u - b[seen][:, 0]).mean() < 15


def test_same_seed_gives_the_same_bytes():
  first, second = (
    pickle.dumps(demo.make_annotations('coco', seed=0), protocol=4)
    for _ in range(2)
  )
  assert first == second


def test_changed_motions_need_a_new_version():
  clips_3d = annotations('nturgb+d')['annotations']
  mean = np.mean([np.abs(a['keypoint'].astype(float)).mean() for a in clips_3d])
  figures = demo.DEMO_VERSION, sum(a['total_frames'] for a in clips_3d), mean
  assert figures == ('1', 64041, pytest.approx(1.36912, rel=1e-4)), (
    'The demo has changed. If that was intended, raise DEMO_VERSION, so that'
    ' demos are prepared again, and update these numbers.'
  )


def test_another_seed_gives_other_clips():
  first, second = (demo.draw_cast(seed) for seed in (0, 1))
  assert first.bodies[1] != second.bodies[1]
  assert first.cameras[1] != second.cameras[1]


def test_unknown_layout_is_an_error():
  with pytest.raises(errors.UserError, match='nturgb\\+d, coco'):
    demo.make_annotations('openpose-18')


def test_no_subject_or_camera_is_in_both_splits():
  seen = {}
  for split_name in ('train', 'val'):
    ids = annotations('coco')['split'][split_name]
    seen[split_name] = {i[:4] for i in ids}, {i[4:8] for i in ids}
  for train, val in zip(seen['train'], seen['val']):
    assert not train & val and len(val) >= 4
  cast = demo.draw_cast(0)
  heights = [[cast.bodies[n].height for n in s] for s in demo.SUBJECTS.values()]
  assert not set(heights[0]) & set(heights[1])


def test_persons_have_human_size_and_distance():
  for a in annotations('nturgb+d')['annotations']:
    keypoint = a['keypoint'].astype(float)
    seen = keypoint[keypoint.any(-1)]
    assert 0.8 < seen[:, 2].min() and seen[:, 2].max() < 6.5
    assert np.abs(seen[:, 0]).max() < 3.5
    length = np.linalg.norm(keypoint[:, :, 20] - keypoint[:, :, 0], axis=-1)
    there = keypoint[:, :, 0].any(-1)
    assert 0.3 < np.median(length[there]) < 0.65


def test_only_ends_of_limbs_whole_frames_and_second_persons_are_lost():
  lost = {'joint': 0, 'person': 0, 'frame': 0}
  total = 0
  for a in annotations('nturgb+d')['annotations']:
    gone = ~a['keypoint'].any(-1)  # [M, T, V]
    assert not gone[:, 0].all()
    frame = gone.all((0, 2))
    person = gone.all(2) & ~frame
    joint = gone & ~gone.all(2, keepdims=True)
    assert not person[0].any() or person[1:].any()
    assert not joint[..., TRUNK].any()
    lost['joint'] += joint.sum()
    lost['person'] += person.any()
    lost['frame'] += frame.any()
    total += gone.size
  assert 0.001 < lost['joint'] / total < 0.02
  assert lost['person'] > 10 and lost['frame'] > 50


def test_2d_joints_are_in_the_image_and_missing_ones_have_score_zero():
  inside, total = 0, 0
  for a in annotations('coco')['annotations']:
    assert a['img_shape'] == a['original_shape'] == (1080, 1920)
    keypoint, score = a['keypoint'].astype(float), a['keypoint_score']
    assert score.shape == keypoint.shape[:3]
    assert score.min() >= 0 and score.max() <= 1
    missing = ~keypoint.any(-1)
    np.testing.assert_array_equal(missing, score == 0)
    np.testing.assert_array_equal(
      missing, missing.all(-1, keepdims=True) & missing
    )
    ok = (keypoint >= 0).all(-1) & (keypoint <= [1920, 1080]).all(-1)
    inside += (ok & ~missing).sum()
    total += (~missing).sum()
  assert inside / total > 0.97


def root_centred(keypoint, layout):
  del layout
  keypoint = keypoint.astype(np.float32)
  return (keypoint - keypoint[:1, :, :1]) * keypoint.any(-1, keepdims=True)


@functools.cache
def poses(normalize):
  """Clips of both splits, [2, T, 25, 3], without empty frames."""
  out = {}
  for split_name in ('train', 'val'):
    chosen = clips('nturgb+d', split_name)
    points = []
    for a in chosen:
      keypoint = normalize(a['keypoint'], LAYOUT).astype(np.float32)
      keypoint = keypoint[:, keypoint.any((0, 2, 3))]
      points.append(np.pad(keypoint, ((0, 2 - len(keypoint)),) + ((0, 0),) * 3))
    out[split_name] = points, np.array([a['label'] for a in chosen])
  return out


# NOTE: not 1.x, which centres on the spine of the first frame: the final position
# relative to it would give away the order.
NORMALIZATIONS = {
  'root': root_centred,
  '0x': normalize_3d.normalize_mmaction0x,
}


@pytest.mark.parametrize('normalize', NORMALIZATIONS)
def test_mean_pose_does_not_determine_the_action(normalize):
  data = poses(NORMALIZATIONS[normalize])
  means = {
    s: np.stack([p.mean(1).ravel() for p in points])
    for s, (points, _) in data.items()
  }
  labels = data['train'][1]
  centres = np.stack(
    [means['train'][labels == k].mean(0) for k in range(len(demo.ACTIONS))]
  )
  distance = ((means['val'][:, None] - centres) ** 2).sum(-1)
  accuracy = (distance.argmin(1) == data['val'][1]).mean()
  assert 0.2 < accuracy < 0.6, accuracy


def bones(points, frames, rng, shuffle=False):
  """[B, 2, T, 25, 3] bones of frames at jittered even distances."""
  out = []
  for clip in points:
    moment = (np.arange(frames) + rng.random(frames)) / frames
    chosen = clip[:, (moment * clip.shape[1]).astype(int)]
    out.append(chosen[:, rng.permutation(frames)] if shuffle else chosen)
  out = np.stack(out)
  return out - out[:, :, :, LAYOUT.parents]


def train_small_model(points, labels, frames, rng, steps=200, batch_size=16):
  """Train a small model; return a function from [B, 2, T, 25, 3] to classes."""
  model = models.build_model(
    'stgcn',
    graph=graph_lib.Graph(LAYOUT),
    num_classes=len(demo.ACTIONS),
    base_channels=8,
    num_stages=3,
    inflate_stages=(2, 3),
    down_stages=(2, 3),
  )
  first = bones(points[:2], frames, rng)
  variables = jax.jit(model.init, static_argnames='train')(
    {'params': jax.random.key(0)}, first, train=False
  )
  rest, params = flax.core.pop(variables, 'params')
  schedule = optax.cosine_decay_schedule(0.1, steps)
  tx = optax.sgd(schedule, momentum=0.9, nesterov=True)

  @jax.jit
  def step(params, rest, state, batch, labels):
    def loss(params):
      logits, new = model.apply(
        {'params': params, **rest}, batch, train=True, mutable=['batch_stats']
      )
      each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
      return each.mean(), {**rest, **new}

    (_, rest), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, state = tx.update(grads, state, params)
    return optax.apply_updates(params, updates), rest, state

  state, order = tx.init(params), []
  for _ in range(steps):
    if len(order) < batch_size:
      order = rng.permutation(len(points)).tolist()
    rows, order = order[:batch_size], order[batch_size:]
    batch = bones([points[r] for r in rows], frames, rng)
    params, rest, state = step(params, rest, state, batch, labels[rows])
  predict = jax.jit(
    lambda x: model.apply({'params': params, **rest}, x, train=False)
  )
  return lambda x: np.asarray(predict(x)).argmax(-1)


def test_trained_model_needs_the_order_of_the_frames():
  data, frames = poses(normalize_3d.normalize_mmaction0x), 12
  rng = np.random.default_rng(0)
  classify = train_small_model(*data['train'], frames, rng)
  points, labels = data['val']
  ordered = (classify(bones(points, frames, rng)) == labels).mean()
  shuffled = classify(bones(points, frames, rng, shuffle=True)) == labels
  assert ordered > 0.8, ordered
  assert shuffled.mean() < 0.7, shuffled.mean()

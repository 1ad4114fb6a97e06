"""A trained checkpoint of pyskl: 40 hand gestures, ST-GCN++ on 21 joints.

The file is hagrid_stgcnpp.pth of the gesture demo of pyskl, in the folder
$SKELJAX_TEST_DATA. pyskl cannot be installed as a package, so its preprocessing
is transcribed in tests/transcriptions.py. The network is that of mmaction2, which
loads weights of pyskl with strict=True if the classifier is renamed.
"""

import importlib.util
import os
import pathlib
import pickle

from mmaction import models as published
import networks
import numpy as np
import pytest
import torch

from data_prep import options as options_lib
from data_prep import prepare
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import scoring
from skeljax import skeletons
from skeljax.convert import __main__ as command
from skeljax.convert import family

NUM_HANDS = 1000
LONGEST = 60
NAME = 'hagrid_stgcnpp.pth'
# The test pipeline that the file was published with.
PIPELINE = """
test_pipeline = [
    dict(type='PreNormalize2D', threshold=0, mode='auto'),
    dict(type='GenSkeFeat', dataset='handmp', feats=['j']),
    dict(type='UniformSample', clip_len=10, num_clips=1),
    dict(type='PoseDecode'),
    dict(type='FormatGCNInput', num_person=1),
]
"""
_KINDS = (
  'moving', 'still', 'noise', 'tiny', 'flat', 'point', 'far', 'lost frames',
)  # fmt: skip


def _load_transcriptions():
  path = pathlib.Path(__file__).parents[1] / 'transcriptions.py'
  spec = importlib.util.spec_from_file_location('hand_transcriptions', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


transcriptions = _load_transcriptions()


@pytest.fixture(scope='module')
def weights():
  """Path of the trained file."""
  folder = os.environ.get('SKELJAX_TEST_DATA', '')
  path = os.path.join(folder, NAME)
  if not folder or not os.path.isfile(path):
    pytest.skip(
      f'SKELJAX_TEST_DATA={folder} does not contain {NAME}, a trained'
      ' checkpoint of pyskl'
    )
  return path


@pytest.fixture(scope='module')
def converted(weights, tmp_path_factory):
  """The converted workdir."""
  folder = tmp_path_factory.mktemp('hagrid')
  (folder / 'published.py').write_text(PIPELINE)
  config = command.read_config(str(folder / 'published.py'))
  given = family.Overrides(config=config)
  workdir = str(folder / 'workdir')
  notes = command.to_workdir(weights, workdir, given)
  assert 'stgcn (init, mstcn), 6 stages from 64 channels' in notes[0]
  assert "graph 'spatial', 40 classes" in notes[0]
  assert "layout 'handmp' (21 joints, 2D), 1 persons" in notes[0]
  assert 'joint stream, 10 frames' in notes[0]
  return workdir


def finger_pose(rng):
  """Return [21, 2], a random hand of unit size: a wrist and five fingers."""
  points = np.zeros((21, 2))
  for finger in range(5):
    angle = np.deg2rad(150 - 30 * finger + rng.normal(scale=8))
    place = 0.45 * np.array([np.cos(angle), np.sin(angle)])
    bend = rng.choice([0.0, 0.3, 1.2]) * rng.choice([-1, 1])
    for bone in range(4):
      points[1 + 4 * finger + bone] = place
      angle += bend
      length = 0.2 * 0.8**bone
      place = place + length * np.array([np.cos(angle), np.sin(angle)])
  return points


def draw_hand(rng, kind):
  """Return [1, T, 21, 2], pixel coordinates of one hand."""
  frames = int(rng.integers(1, LONGEST + 1))
  steps = np.linspace(0, 1, frames)[:, None, None]
  pose, other = finger_pose(rng), finger_pose(rng)
  if kind == 'noise':
    hand = rng.random((frames, 21, 2))
  elif kind == 'still':
    hand = np.repeat(pose[None], frames, 0)
  else:
    hand = pose + steps * (other - pose)
  turn = rng.uniform(0, 2 * np.pi)
  turn = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
  size, centre = rng.uniform(40, 600), rng.uniform(100, 1000, 2)
  if kind == 'tiny':
    size = rng.uniform(0, 8)  # At most 10 pixels: not normalized.
  if kind == 'far':
    centre = rng.uniform(-4000, 8000, 2)
  hand = centre + size * (hand @ turn + steps * rng.normal(size=2))
  if kind == 'flat':
    hand[..., rng.integers(2)] = rng.uniform(0, 1000)
  if kind == 'point':
    hand[:] = hand[0, 0]
  if kind == 'lost frames':
    # Undetected frames are 0, which counts for the box.
    hand[rng.random(frames) < 0.3] = 0
    hand[0] = pose * size + centre
  return hand[None].astype(np.float32)


@pytest.fixture(scope='module')
def hands(oracle_seed):
  """Kinds and keypoints of the clips."""
  rng = np.random.default_rng([oracle_seed, 40])
  kinds = [_KINDS[i % len(_KINDS)] for i in range(NUM_HANDS)]
  return kinds, [draw_hand(rng, kind) for kind in kinds]


@pytest.fixture(scope='module')
def dataset_root(hands, tmp_path_factory):
  """Root of the prepared dataset `hands`."""
  folder = tmp_path_factory.mktemp('hands')
  items = [
    dict(
      frame_dir=f'hand{i:04d}',
      label=i % 40,
      total_frames=hand.shape[1],
      img_shape=(1080, 1920),
      original_shape=(1080, 1920),
      keypoint=hand,
    )
    for i, hand in enumerate(hands[1])
  ]
  names = [item['frame_dir'] for item in items]
  with open(folder / 'hands.pkl', 'wb') as f:
    split = {'train': names[:40], 'val': names}
    pickle.dump({'split': split, 'annotations': items}, f)
  (folder / 'names.txt').write_text(
    '\n'.join(f'gesture {i}' for i in range(40)) + '\n'
  )
  options = options_lib.Options(
    source='pickle',
    input=str(folder / 'hands.pkl'),
    layout='handmp',
    name='hands',
    output=str(folder),
    class_names=str(folder / 'names.txt'),
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  return str(folder)


def published_network(state):
  """Return ST-GCN++ of mmaction2 with these weights, loaded strictly."""
  layout = skeletons.get_layout('handmp')
  backbone = published.STGCN(
    graph_cfg=dict(
      layout=dict(
        num_node=layout.num_joints,
        inward=list(layout.edges),
        center=layout.center,
      ),
      mode='spatial',
    ),
    in_channels=2,
    num_stages=6,
    inflate_stages=[6],
    down_stages=[6],
    gcn_adaptive='init',
    gcn_with_res=True,
    tcn_type='mstcn',
  )
  network = networks.Network(backbone, published.GCNHead(40, 128))
  state = {n.replace('head.fc_cls.', 'head.fc.'): t for n, t in state.items()}
  network.load_state_dict(state, strict=True)
  return network.eval()


def read_weights(path):
  file = torch.load(path, weights_only=True)
  # The published file is a bare state_dict.
  return file.get('state_dict', file)


def published_logits(path, hands):
  """Return [clips, 40] of PyTorch with the preprocessing of pyskl."""
  network = published_network(read_weights(path))
  clips = []
  for hand in hands:
    x = transcriptions.pyskl_pre_normalize_2d(hand, mode='auto', threshold=0)
    frames = transcriptions.pyskl_test_frames(hand.shape[1], 10, 1)[0]
    clips.append(x[:, frames])
  with torch.no_grad():
    return np.concatenate(
      [network(b).numpy() for b in torch.from_numpy(np.stack(clips)).split(100)]
    )


def our_logits(workdir, root):
  """Return [clips, 40] of skeljax, in the order of the clips."""
  loaded = pretrained.load(workdir)
  config = loaded.config
  config.data.update(dir=root, dataset='hands')
  # The averaged score of one view is its logits.
  config.eval.update(average='score', batch_size=100)
  dataset = run_lib.open_dataset(config)
  evaluator = scoring.Evaluator(
    run_lib.Run(config, loaded.spec_for(dataset)),
    dataset,
    num_clips=config.data.num_clips,
  )
  scores = evaluator(loaded.variables)
  ids = [dataset.source('val')[int(i)]['id'] for i in scores.index]
  return np.asarray(scores.scores)[np.argsort(ids)]


def test_a_thousand_hands_have_the_published_logits(
  weights, converted, dataset_root, hands, tmp_path, record_difference
):
  kinds, clips = hands
  theirs = published_logits(weights, clips)
  assert np.isfinite(theirs).all()
  # The predictions vary.
  assert len(set(theirs.argmax(1))) > 10
  ours = our_logits(converted, dataset_root)
  difference = np.abs(ours - theirs).max(1) / np.abs(theirs).max(1)
  worst = int(difference.argmax())
  print(f'largest relative difference {difference[worst]:.2e}')
  record_difference('ST-GCN++ (HaGRID)', 'logits', difference[worst])
  assert difference[worst] < 1e-5, (
    f'hand {worst}: {kinds[worst]}, {clips[worst].shape[1]} frames'
  )
  np.testing.assert_array_equal(ours.argmax(1), theirs.argmax(1))

  # The round trip gives an equal file and equal logits in PyTorch.
  back = str(tmp_path / 'back.pth')
  command.to_torch_file(converted, back, 'last', '')
  first, again = read_weights(weights), read_weights(back)
  assert sorted(first) == sorted(again)
  for name, tensor in first.items():
    assert tensor.dtype == again[name].dtype
    assert torch.equal(tensor, again[name]), name
  np.testing.assert_array_equal(
    published_logits(back, clips[:100]), theirs[:100]
  )

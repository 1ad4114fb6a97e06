"""Scores of a PoseC3D file are those of mmaction2."""

import pickle
import types

import mmaction.datasets  # registers the transforms  # noqa: F401
import mmengine
from mmengine.dataset import Compose
import networks
import numpy as np
import pytest
import torch
import volume_networks

from data_prep import options as options_lib
from data_prep import prepare
from skeljax import errors
from skeljax import evaluate
from skeljax import score_file
from skeljax import skeletons

COCO = skeletons.get_layout('coco')
LEFT, RIGHT = map(list, zip(*COCO.left_right))
LEFT_LIMBS = [i for i, j in enumerate(COCO.limb_flip_index) if i < j]
RIGHT_LIMBS = [COCO.limb_flip_index[i] for i in LEFT_LIMBS]
TARGETS = {
  'keypoint': 'with_kp=True, with_limb=False',
  'limb': (
    'with_kp=False, with_limb=True,'
    f' skeletons={[list(limb) for limb in COCO.limbs]},'
    f' left_limb={LEFT_LIMBS}, right_limb={RIGHT_LIMBS}'
  ),
}
# Small for speed; no value is our default.
TEXT = """
test_pipeline = [
    dict(type='UniformSampleFrames', clip_len=6, num_clips=2, test_mode=True),
    dict(type='PoseDecode'),
    dict(type='PoseCompact', hw_ratio=1., allow_imgpad=True, padding=0.5),
    dict(type='Resize', scale=(-1, 24)),
    dict(type='CenterCrop', crop_size=24),
    dict(type='GeneratePoseTarget', sigma=0.9, use_score=True, double=True,
        left_kp={left}, right_kp={right}, {target}),
    dict(type='FormatShape', input_format='NCTHW_Heatmap'),
    dict(type='PackActionInputs'),
]
"""


@pytest.fixture(scope='module')
def annotations():
  """Six annotations of one or two persons."""
  rng = np.random.default_rng(0)
  items = []
  for i, frames in enumerate((9, 3, 14, 30, 1, 7)):
    persons = 1 + i % 2
    keypoint = rng.random((persons, frames, COCO.num_joints, 2))
    items.append(
      dict(
        frame_dir=f'clip{i}',
        label=i,
        total_frames=frames,
        img_shape=(120, 160),
        original_shape=(120, 160),
        keypoint=(keypoint * [100, 80] + 20).astype(np.float16),
        keypoint_score=rng.random(keypoint.shape[:-1]).astype(np.float16),
      )
    )
  return items


@pytest.fixture(scope='module')
def prepared_root(annotations, tmp_path_factory):
  """Root of `tiny`, the prepared dataset of the same clips."""
  folder = tmp_path_factory.mktemp('evaluated_volumes')
  names = [item['frame_dir'] for item in annotations]
  with open(folder / 'tiny.pkl', 'wb') as f:
    pickle.dump(
      {'split': {'train': names[:1], 'val': names}, 'annotations': annotations},
      f,
    )
  (folder / 'names.txt').write_text(
    '\n'.join(f'class{i}' for i in range(networks.NUM_CLASSES))
  )
  options = options_lib.Options(
    source='pickle',
    input=str(folder / 'tiny.pkl'),
    layout='coco',
    name='tiny',
    output=str(folder),
    class_names=str(folder / 'names.txt'),
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  return str(folder)


@pytest.fixture
def score(monkeypatch, tmp_path, prepared_root):
  """score(checkpoint) -> the scores written by skeljax.evaluate."""

  def function(checkpoint, **flags):
    output = str(tmp_path / 'scores.npz')
    usual = dict(
      checkpoint=checkpoint, step='last', output=output, split='val',
      data_dir=prepared_root, dataset='tiny', num_clips=0, average='',
      batch_size=4, mirrored=None, distributed='off', config=None,
    )  # fmt: skip
    args = types.SimpleNamespace(**usual | flags)
    monkeypatch.setattr(evaluate, 'flags', types.SimpleNamespace(FLAGS=args))
    assert evaluate.main([]) == 0
    return score_file.read(output)

  return function


def their_scores(network, text, annotations):
  """Return the averaged probabilities of mmaction2."""
  cfg = mmengine.Config.fromstring(text, '.py')
  # Without PackActionInputs, which needs a label map.
  pipeline = Compose(cfg.test_pipeline[:-1])
  scores = []
  for item in annotations:
    clip = pipeline(dict(item, modality='Pose', start_index=0))['imgs']
    x = torch.from_numpy(np.ascontiguousarray(clip, np.float32))
    with torch.no_grad():
      logits = network.cls_head(network.backbone(x))
    scores.append(torch.softmax(logits, 1).mean(0).numpy())
  return np.stack(scores)


@pytest.mark.parametrize('stream', TARGETS)
def test_scores_are_those_of_mmaction2(
  stream, annotations, score, oracle_seed, tmp_path, record_difference
):
  network = volume_networks.make(volume_networks.draw(oracle_seed, 0))
  text = TEXT.format(left=LEFT, right=RIGHT, target=TARGETS[stream])
  path = str(tmp_path / 'posec3d.pth')
  torch.save({'meta': {'cfg': text}, 'state_dict': network.state_dict()}, path)
  ours = score(path)
  assert ours.ids == tuple(item['frame_dir'] for item in annotations)
  theirs = their_scores(network, text, annotations)
  difference = np.abs(ours.scores - theirs).max()
  assert difference < 1e-5
  record_difference('PoseC3D', f'scores of a {stream} file', difference)


def test_a_dataset_that_does_not_fit_is_an_error(score, oracle_seed, tmp_path):
  network = volume_networks.make(volume_networks.draw(oracle_seed, 0))
  path = str(tmp_path / 'posec3d.pth')
  state = network.state_dict()
  for leaf in ('weight', 'bias'):
    state[f'cls_head.fc_cls.{leaf}'] = state[f'cls_head.fc_cls.{leaf}'][:5]
  torch.save(state, path)
  with pytest.raises(
    errors.UserError, match='number of classes is 7, expected 5'
  ):
    score(path)

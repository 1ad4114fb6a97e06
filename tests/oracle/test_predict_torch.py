"""Predictions of a published PyTorch file equal those of mmaction2."""

import json
import pickle

from mmaction.datasets import PoseDataset
import networks
import numpy as np
import torch

from skeljax import skeletons
from skeljax.predict import __main__ as predict
from skeljax.predict.options import Options
from skeljax.skeletons import graph as graph_lib

# Float32 on both sides, through three stages and a softmax.
TOLERANCE = 2e-6
TEST_PIPELINE = [
  dict(type='PreNormalize2D'),
  dict(type='GenSkeFeat', dataset='coco', feats=['j']),
  dict(type='UniformSampleFrames', clip_len=100, num_clips=10, test_mode=True),
  dict(type='PoseDecode'),
  dict(type='FormatGCNInput', num_person=2),
  dict(type='PackActionInputs'),
]


def write_file(path, seed):
  """Write a file as mmaction2 does and return its network."""
  options = dict(
    base_channels=8, num_stages=3, inflate_stages=(3,), down_stages=(3,)
  )
  graph = graph_lib.Graph(skeletons.get_layout('coco'), 'stgcn_spatial')
  config = networks.Config(
    'stgcn', graph, tuple(options.items()), (1, 2, 8, 17, 3), seed=seed
  )
  network = networks.build(config).theirs
  networks.settle(network, 0)
  torch.save({'state_dict': network.state_dict()}, path)
  return network.eval()


def write_clips(path, seed):
  """Write clips as mmaction2's skeleton demo does: float16, label -1."""
  rng = np.random.default_rng(seed)
  items = []
  for persons, frames in ((1, 30), (2, 140), (2, 250)):
    shape = (persons, frames, 17)
    items.append(
      dict(
        frame_dir=f'{persons} persons, {frames} frames',
        label=-1,
        img_shape=(480, 640),
        start_index=0,
        modality='Pose',
        total_frames=frames,
        keypoint=rng.uniform(0, 480, (*shape, 2)).astype(np.float16),
        keypoint_score=rng.uniform(0, 1, shape).astype(np.float16),
      )
    )
  path.write_bytes(pickle.dumps(items))


def test_probabilities_equal_those_of_mmaction2(tmp_path, oracle_seed):
  network = write_file(tmp_path / 'stgcn.pth', oracle_seed)
  write_clips(tmp_path / 'clips.pkl', oracle_seed)
  output = tmp_path / 'predictions.json'
  options = Options(
    checkpoint=f'{tmp_path}/stgcn.pth',
    top=networks.NUM_CLASSES,
    output=str(output),
  )
  assert predict.run(options, [f'{tmp_path}/clips.pkl']) == 0
  content = json.loads(output.read_text())
  assert content['views'] == 10
  # The output lists what was assumed.
  assert any(
    'test pipeline of mmaction1x' in note for note in content['assumed']
  )
  published = PoseDataset(
    ann_file=str(tmp_path / 'clips.pkl'),
    test_mode=True,
    pipeline=TEST_PIPELINE,
  )
  for row, clip in enumerate(content['clips']):
    with torch.no_grad():
      logits = network(published[row]['inputs'].float())
    theirs = torch.softmax(logits, dim=-1).mean(dim=0).numpy()
    ours = {g['label']: g['probability'] for g in clip['top']}
    np.testing.assert_allclose(
      [ours[label] for label in range(networks.NUM_CLASSES)],
      theirs,
      rtol=0,
      atol=TOLERANCE,
      err_msg=f'{clip["id"]}, seed {oracle_seed}',
    )

"""Clips of one's own and a published file: the answer is that of mmaction2."""

import json
import pickle

from absl import flags
from mmaction.datasets import PoseDataset
import networks
import numpy as np
import torch

from skeljax import skeletons
from skeljax.predict import __main__ as predict
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
  """A file as mmaction2 writes it; the network that is in it."""
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
  """As mmaction2's demo of skeletons makes them: float16, label -1."""
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


def test_a_published_file_says_of_clips_what_mmaction2_says(
  tmp_path, oracle_seed
):
  network = write_file(tmp_path / 'stgcn.pth', oracle_seed)
  write_clips(tmp_path / 'clips.pkl', oracle_seed)
  output = tmp_path / 'predictions.json'
  values = flags.FlagValues()
  predict.define_flags(values)
  paths = values(
    [
      'predict',
      f'--checkpoint={tmp_path}/stgcn.pth',
      f'--top={networks.NUM_CLASSES}',
      f'--output={output}',
      f'{tmp_path}/clips.pkl',
    ]
  )[1:]
  assert predict.run(values, paths) == 0
  content = json.loads(output.read_text())
  assert content['views'] == 10
  # What the file does not say is told with the answer.
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

"""A user's own layout, from a JSON file to predicted actions.

Fifteen 2D joints. Each model is trained, evaluated and used for prediction with
what a user provides: a layout file, an annotation file, a config.
"""

import json
import pathlib
import pickle

import numpy as np
import pytest

from data_prep import options as options_lib
from data_prep import prepare
from skeljax import cli
from skeljax import score_file
from skeljax import train
from skeljax.predict import __main__ as predict
from skeljax.predict.options import Options

_CONFIGS = pathlib.Path(__file__).parents[2] / 'configs'
ACTIONS = ('bow', 'wave', 'kick')
NUM_TRAIN, NUM_VAL = 18, 6

JOINTS = {  # Name: (parent, position).
  'belly': ('belly', (0, 0)),
  'chest': ('belly', (0, -30)),
  'throat': ('chest', (0, -55)),
  'crown': ('throat', (0, -85)),
  'near arm': ('throat', (18, -50)),
  'near wrist': ('near arm', (30, -20)),
  'near finger': ('near wrist', (32, -5)),
  'far arm': ('throat', (-18, -50)),
  'far wrist': ('far arm', (-30, -20)),
  'far finger': ('far wrist', (-32, -5)),
  'near knee': ('belly', (10, 40)),
  'near toe': ('near knee', (14, 85)),
  'far knee': ('belly', (-10, 40)),
  'far toe': ('far knee', (-14, 85)),
  'tail': ('belly', (-4, 12)),
}
MOVES = {
  'bow': ('crown', 'throat', 'chest'),
  'wave': ('near wrist', 'near finger'),
  'kick': ('far knee', 'far toe'),
}
LAYOUT = {
  'name': 'puppet',
  'joints': list(JOINTS),
  'bones': [[joint, parent] for joint, (parent, _) in JOINTS.items()],
  'center': 'belly',
  'left_right': [
    [f'near {part}', f'far {part}']
    for part in ('arm', 'wrist', 'finger', 'knee', 'toe')
  ],
  'limbs': [
    [joint, parent] for joint, (parent, _) in JOINTS.items() if joint != parent
  ],
}


def _clips() -> dict:
  """Return clips of one puppet that moves the joints of its action."""
  rng = np.random.default_rng(0)
  pose = np.array([place for _, place in JOINTS.values()])
  annotations = []
  for i in range(NUM_TRAIN + NUM_VAL):
    action, frames = ACTIONS[i % 3], int(rng.integers(10, 25))
    keypoint = np.tile(pose + rng.uniform(150, 300, 2), (1, frames, 1, 1))
    for joint in MOVES[action]:
      swing = 25 * np.sin(np.arange(frames) * rng.uniform(0.3, 0.6))
      keypoint[0, :, list(JOINTS).index(joint)] += swing[:, None]
    keypoint += rng.normal(0, 1, keypoint.shape)
    annotations.append(
      {
        'frame_dir': f'puppet{i:02d}',
        'label': i % 3,
        'total_frames': frames,
        'img_shape': (480, 640),
        'keypoint': keypoint.astype(np.float16),
        'keypoint_score': rng.uniform(0.5, 1, (1, frames, 15)).astype('f2'),
      }
    )
  ids = [item['frame_dir'] for item in annotations]
  return {
    'split': {'train': ids[:NUM_TRAIN], 'val': ids[NUM_TRAIN:]},
    'annotations': annotations,
    'label_names': list(ACTIONS),
  }


@pytest.fixture(scope='module')
def root(tmp_path_factory) -> pathlib.Path:
  """Contains puppet.json, puppets.pkl and the prepared dataset `puppets`."""
  root = tmp_path_factory.mktemp('puppets')
  (root / 'puppet.json').write_text(json.dumps(LAYOUT))
  (root / 'puppets.pkl').write_bytes(pickle.dumps(_clips()))
  options = options_lib.Options(
    source='pickle',
    input=str(root / 'puppets.pkl'),
    layout=str(root / 'puppet.json'),
    name='puppets',
    output=str(root),
  )
  prepare.prepare(options, ['--runner=FnApiRunner'])
  return root


GRAPH_FIELDS = {
  'data': dict(clip_len=8, num_clips=2),
  'model': dict(
    base_channels=8,
    num_stages=1,
    inflate_stages=(),
    down_stages=(),
    norm_group=0,
  ),
}
VOLUME_FIELDS = {
  'data': dict(clip_len=4, num_clips=2),
  'input': dict(short_side=20, size=16, test_size=16),
  'model': dict(
    base_channels=4,
    stage_blocks=(1,),
    inflate=(1,),
    spatial_strides=(2,),
    temporal_strides=(1,),
    dilations=(1,),
    norm_group=0,
  ),
}


@pytest.mark.parametrize(
  'config, fields',
  [
    ('stgcn_mmaction1x.py:dims=2,dataset=puppets', GRAPH_FIELDS),
    (
      'agcn_mmaction1x.py:stream=bone,dims=2,dataset=puppets',
      GRAPH_FIELDS,
    ),
    (
      'posec3d_mmaction1x.py:heatmap=limb,dataset=puppets',
      VOLUME_FIELDS,
    ),
  ],
  ids=['stgcn', 'agcn', 'posec3d'],
)
def test_trains_and_predicts_actions(root, tmp_path, capsys, config, fields):
  config = cli.load_config(str(_CONFIGS / config))
  config.data.dir, config.data.repeat = str(root), 1
  config.train.update(batch_size=8, epochs=1.0)
  config.eval.update(batch_size=8, every_epochs=0.0)
  config.optim.reference_batch = 0
  for section, values in fields.items():
    config[section].update(values)
  workdir = tmp_path / 'run'
  assert not train.train(config, str(workdir)).interrupted

  output = tmp_path / 'predictions.json'
  options = Options(
    checkpoint=str(workdir),
    layout=f'{root}/puppet.json',
    output=str(output),
  )
  assert predict.run(options, [f'{root}/puppets.pkl']) == 0
  text = capsys.readouterr().out
  assert all(action in text for action in ACTIONS)
  clips = {c['id']: c for c in json.loads(output.read_text())['clips']}
  assert len(clips) == NUM_TRAIN + NUM_VAL
  # The scores of the run itself.
  tested = score_file.read(workdir / 'scores_val.npz')
  assert tested.average == 'prob' and tested.class_names == ACTIONS
  for sample_id, scores in zip(tested.ids, tested.scores, strict=True):
    assert clips[sample_id]['layout'] == 'puppet'
    found = {g['label']: g['probability'] for g in clips[sample_id]['top']}
    np.testing.assert_array_equal(
      [found[label] for label in range(3)], scores.astype(np.float64)
    )

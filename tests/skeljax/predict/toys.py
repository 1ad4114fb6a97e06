"""Small checkpoints and clips."""

import dataclasses

import jax
import numpy as np

from configs import posec3d_ntu60_keypoint
from configs import stgcn_joint_3d
from configs import stgcn_mmaction1x
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.datasets.spec import DataSpec
from skeljax.predict import clips
from skeljax.predict import preprocess
from tests.skeljax.predict import own

FRAMES = 5
# A body in metres; the joints are about 0.5 from their mean.
BODY = np.random.default_rng(0).normal(0, 0.3, (25, 3))


def checkpoint(config, *, layout='coco', **changes) -> pretrained.Pretrained:
  """Return a narrow network whose weights are zero except the last bias."""
  config.model.base_channels = 4
  if config.model.name != 'slowonly':
    config.model.update(num_stages=1, inflate_stages=(), down_stages=())
  config.data.update(clip_len=4, num_clips=1)
  dims = config.data.dims
  spec = DataSpec(
    layout=skeletons.get_layout(layout),
    class_names=('sit', 'stand', 'walk'),
    num_channels=dims,
    num_persons=2,
    normalize=config.data.normalize,
    keypoint_dtype='float32',
    max_frames=0,
    score_dtype='float32' if dims == 2 else '',
    body_size=60.0 if dims == 2 else 0.5,
  )
  is_assumed = changes.pop('is_assumed', False)
  spec = dataclasses.replace(spec, **changes)
  variables = jax.tree.map(
    lambda leaf: np.zeros(leaf.shape, leaf.dtype),
    run_lib.Run(config, spec).abstract_variables(),
  )
  bias = variables['params']['head']['fc']['bias']
  bias[:] = np.log([0.2, 0.3, 0.5])
  return pretrained.Pretrained(
    source='runs/own step 7',
    config=config,
    spec=spec,
    variables=variables,
    is_assumed=is_assumed,
    meta={},
    notes=('assumed the joint stream',) if is_assumed else (),
  )


def graph_2d(**changes):
  return checkpoint(stgcn_mmaction1x.get_config('dims=2'), **changes)


def graph_3d(recipe=stgcn_joint_3d, layout='nturgb+d', **changes):
  return checkpoint(recipe.get_config(), layout=layout, **changes)


def volumes(**changes):
  return checkpoint(posec3d_ntu60_keypoint.get_config(), **changes)


def persons_2d(num_persons=1, num_joints=17, frames=FRAMES):
  """Persons without motion; [M, T, V, 2] pixels."""
  pose = np.random.default_rng(1).uniform(20, 220, (num_joints, 2))
  shift = 3 * np.arange(num_persons)[:, None, None, None]
  return (pose + shift + np.zeros((1, frames, 1, 1))).astype(np.float32)


def save(path, keypoint, **fields):
  if keypoint.shape[-1] == 2 and 'keypoint_score' not in fields:
    fields['keypoint_score'] = np.ones(keypoint.shape[:3], np.float32)
  fields = {k: v for k, v in fields.items() if v is not None}
  np.savez(path, keypoint=keypoint, **fields)
  return str(path)


def fit(loaded, path, **options) -> preprocess.Preprocessed:
  """Preprocess the only clip of a file."""
  target = own.target(loaded, **options)
  [clip] = clips.list_clips(path, 'auto', target.options.read_options)
  return preprocess.preprocess(clip, target)

"""Untrained checkpoints, and clips that are preprocessed for them."""

import json

import jax
from ml_collections import config_dict
import numpy as np

from skeljax import pretrained
from skeljax import run as run_lib
from skeljax.datasets.spec import DataSpec
from skeljax.predict import checkpoint
from skeljax.predict import clips
from skeljax.predict import preprocess
from skeljax.predict.options import Options


def narrow(config) -> config_dict.ConfigDict:
  """Shrink a config to two narrow stages and short clips."""
  config.model.base_channels = 4
  if config.model.name == 'slowonly':
    config.model.update(
      stage_blocks=(1, 1), inflate=(0, 1), spatial_strides=(2, 2),
      temporal_strides=(1, 1), dilations=(1, 1),
    )  # fmt: skip
    config.input.update(short_side=12, size=8, test_size=8)
  else:
    config.model.update(num_stages=2, inflate_stages=(2,), down_stages=(2,))
  config.data.update(clip_len=4, num_workers=0)
  config.eval.batch_size = 4
  return config


def untrained(config, spec, **fields) -> pretrained.Pretrained:
  """Return a checkpoint with random weights and a spec read back from JSON."""
  rng = np.random.default_rng(0)

  def fill(path, leaf):
    name = path[-1].key
    if leaf.ndim > 1:
      return rng.normal(0, leaf.shape[-2] ** -0.5, leaf.shape)
    return np.full(leaf.shape, {'scale': 1, 'var': 1}.get(name, 0.1))

  variables = jax.tree_util.tree_map_with_path(
    lambda path, leaf: fill(path, leaf).astype(leaf.dtype),
    run_lib.Run(config, spec).abstract_variables(),
  )
  known = {
    'source': 'the run',
    'is_assumed': False,
    'meta': {},
  }
  spec = DataSpec.from_dict(
    json.loads(json.dumps(spec.to_dict())), source='the run'
  )
  return pretrained.Pretrained(
    config=config, spec=spec, variables=variables, **known | fields
  )


def target(loaded, **options) -> checkpoint.Target:
  """Return the target of a checkpoint with some options of the command."""
  return checkpoint.Target(loaded, Options(checkpoint='runs/own', **options))


def preprocessed(loaded, path, ids) -> list[dict]:
  """Return the records of some clips of an annotation file."""
  to = target(loaded)
  listed = clips.list_clips(
    path,
    'auto',
    to.options.read_options,
    max_persons=to.max_persons_in_frame,
  )
  found = [preprocess.preprocess(c, to) for c in listed if c.id in ids]
  assert [f.description['id'] for f in found] == list(ids)
  return [f.record for f in found]


def assert_same_records(found, dataset) -> None:
  """Check that records equal those of a prepared dataset, dtypes included."""
  for own, stored in zip(found, dataset.source('val'), strict=True):
    for field in stored.keys() - {'label', 'position'}:
      assert np.asarray(own[field]).dtype == np.asarray(stored[field]).dtype
      np.testing.assert_array_equal(own[field], stored[field], field)

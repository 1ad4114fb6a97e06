"""What a run leaves behind besides checkpoints, and when it may go on.

config.json     every field of the configuration
manifest.json   what the run depends on: dataset fingerprint, steps, code
metrics.jsonl   one JSON object a line (skeljax.training.metric_writer)
checkpoints/    skeljax.training.checkpoints
results.json, scores_val.npz, per_class_accuracy.csv, confusion_matrix.png
                the final evaluation (skeljax.evaluate)
"""

from collections.abc import Mapping
import json
import os
from typing import Any

import jax
from jax.experimental import multihost_utils
from ml_collections import config_dict

import skeljax
from skeljax import atomic_file
from skeljax import errors

CONFIG_FILE = 'config.json'
MANIFEST_FILE = 'manifest.json'
RESULTS_FILE = 'results.json'
# A resumed run must agree with the first one in these.
_COMPARED_SECTIONS = ('model', 'graph', 'optim', 'loss', 'input')
_COMPARED_DATA = (
  'frames', 'clip_len', 'repeat', 'normalize', 'max_frames',
)  # fmt: skip
_COMPARED_MANIFEST = (
  'dataset', 'dataset_fingerprint', 'batch_size', 'seed', 'total_steps',
  'init_from', 'init_step',
)  # fmt: skip


def default_path(config: config_dict.ConfigDict) -> str:
  """Return runs/<config>-<stream or heatmap>-<dataset>."""
  stream = config.input.get('stream') or config.input.heatmap
  return os.path.join('runs', f'{config.name}-{stream}-{config.data.dataset}')


def manifest(
  config: config_dict.ConfigDict,
  dataset_name: str,
  fingerprint: str,
  total_steps: int,
) -> dict[str, Any]:
  """What the parameters of this run are a function of."""
  return {
    'dataset': dataset_name,
    'dataset_fingerprint': fingerprint,
    'batch_size': config.train.batch_size,
    'seed': config.seed,
    'total_steps': total_steps,
    'init_from': _absolute(config.train.init_from),
    'init_step': config.train.init_step,
    'demo': config.data.demo,
    'code_version': skeljax.__version__,
    'jax_version': jax.__version__,
    'device_kind': jax.devices()[0].device_kind,
    'num_devices': jax.device_count(),
    'num_processes': jax.process_count(),
  }


def _absolute(path: str) -> str:
  return os.path.abspath(path) if path else ''


def is_new(path: str) -> bool:
  """Whether there is no run in this workdir yet."""
  return not os.path.exists(os.path.join(path, CONFIG_FILE))


def open_workdir(
  path: str, config: config_dict.ConfigDict, facts: Mapping[str, Any]
) -> None:
  """Makes the workdir, or checks that the run in it is this run.

  Args:
    path: absolute.
    config: of this run.
    facts: `manifest(...)` of this run.

  Raises:
    UserError: another run's workdir; the text lists what differs.
  """
  if os.path.exists(path) and not os.path.isdir(path):
    raise errors.UserError(f'--workdir={path} is a file, not a directory.')
  config_path = os.path.join(path, CONFIG_FILE)
  # Through JSON, so that a tuple equals the list that was read back.
  fields = json.loads(config.to_json_best_effort())
  if os.path.exists(config_path):
    differences = _differences(path, fields, facts)
    if differences:
      listed = '\n'.join(f'  {d}' for d in differences)
      raise errors.UserError(
        f'{path} holds a run with other settings, which this command would'
        f' not continue:\n{listed}\nChoose another --workdir, give the same'
        ' settings, or remove that directory.'
      )
  elif os.path.isdir(path) and os.listdir(path):
    raise errors.UserError(
      f'--workdir={path} is not empty and holds no run of skeljax (no'
      f' {CONFIG_FILE}). Choose a new directory.'
    )
  # All processes look before one writes, and go on when it has written.
  _barrier('workdir_checked')
  if jax.process_index() == 0:
    os.makedirs(path, exist_ok=True)
    write_json(os.path.join(path, MANIFEST_FILE), facts)
    write_json(config_path, fields)
  _barrier('workdir_written')


def _barrier(name: str) -> None:
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def _differences(
  path: str, fields: Mapping[str, Any], facts: Mapping[str, Any]
) -> list[str]:
  old_fields = read_json(os.path.join(path, CONFIG_FILE))
  old_facts = read_json(os.path.join(path, MANIFEST_FILE))
  rows = []
  for section in _COMPARED_SECTIONS:
    # Of networks without a graph there is no section of it.
    old, new = old_fields.get(section, {}), fields.get(section, {})
    rows += [
      (f'{section}.{k}', old.get(k), new.get(k)) for k in sorted({*old, *new})
    ]
  old, new = old_fields.get('data', {}), fields['data']
  rows += [(f'data.{k}', old.get(k), new.get(k)) for k in _COMPARED_DATA]
  rows += [(k, old_facts.get(k), facts.get(k)) for k in _COMPARED_MANIFEST]
  return [
    f'{name}: {before!r} there, {now!r} here'
    for name, before, now in rows
    if before != now
  ]


def read_json(path: str) -> dict[str, Any]:
  """A JSON object; UserError when the file is missing or damaged."""
  try:
    with open(path, encoding='utf-8') as f:
      return json.load(f)
  except (OSError, json.JSONDecodeError) as error:
    raise errors.UserError(
      f'{path} cannot be read ({error}); a workdir needs it. If it is damaged,'
      ' start again in a new --workdir.'
    ) from error


def write_json(path: str, value: Mapping[str, Any]) -> None:
  """Writes a JSON object; a kill leaves the old file or the new one."""
  with (
    atomic_file.replacing(path) as temporary,
    open(temporary, 'w', encoding='utf-8') as f,
  ):
    json.dump(value, f, indent=2, sort_keys=True)
    f.write('\n')

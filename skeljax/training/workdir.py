"""Files of a workdir, and the check that a resumed run has the same settings.

config.json     all fields of the config
manifest.json   dataset fingerprint, batch size, steps, versions
metrics.jsonl   metrics, one JSON object per line (metric_writer.py)
checkpoints/    see checkpoints.py
results.json, scores_val.npz, per_class_accuracy.csv, confusion_matrix.png
                the final evaluation (evaluate.py)
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
# Config sections and fields that must not change when a run is resumed.
_COMPARED_SECTIONS = ('model', 'graph', 'optim', 'loss', 'input')
_COMPARED_DATA = (
  'frames', 'clip_len', 'repeat', 'normalize', 'max_frames',
)  # fmt: skip
_COMPARED_MANIFEST = (
  'dataset', 'dataset_fingerprint', 'batch_size', 'seed', 'total_steps',
  'init_from', 'init_step',
)  # fmt: skip


def default_path(config: config_dict.ConfigDict) -> str:
  """Return runs/<config>-<stream or heatmap>-<dataset>.

  The stream is left out if it is part of the name of the config.
  """
  stream = config.input.get('stream') or config.input.heatmap
  parts = [config.name, stream, config.data.dataset]
  if stream in config.name.split('_'):
    parts.remove(stream)
  return os.path.join('runs', '-'.join(parts))


def manifest(
  config: config_dict.ConfigDict,
  dataset_name: str,
  fingerprint: str,
  total_steps: int,
) -> dict[str, Any]:
  """Return what, with the config, determines the weights of a run."""
  init_from = config.train.init_from
  return {
    'dataset': dataset_name,
    'dataset_fingerprint': fingerprint,
    'batch_size': config.train.batch_size,
    'seed': config.seed,
    'total_steps': total_steps,
    'init_from': init_from and os.path.abspath(init_from),
    'init_step': config.train.init_step,
    'demo': config.data.demo,
    'code_version': skeljax.__version__,
    'jax_version': jax.__version__,
    'device_kind': jax.devices()[0].device_kind,
    'num_devices': jax.device_count(),
    'num_processes': jax.process_count(),
  }


def is_new(path: str) -> bool:
  """Return whether the workdir does not contain a run yet."""
  return not os.path.exists(os.path.join(path, CONFIG_FILE))


def open_workdir(
  path: str, config: config_dict.ConfigDict, run_manifest: Mapping[str, Any]
) -> None:
  """Create the workdir, or check that the run in it has the same settings.

  Args:
    path: absolute path.
    config: config of this run.
    run_manifest: `manifest(...)` of this run.

  Raises:
    UserError: not a workdir, or other settings; the message lists them.
  """
  if os.path.exists(path) and not os.path.isdir(path):
    raise errors.UserError(f'--workdir={path} is a file, not a directory.')
  config_path = os.path.join(path, CONFIG_FILE)
  # As JSON, so that a tuple equals the list in the file.
  fields = json.loads(config.to_json_best_effort())
  if os.path.exists(config_path):
    differences = _differences(path, fields, run_manifest)
    if differences:
      listed = '\n'.join(f'  {d}' for d in differences)
      raise errors.UserError(
        f'{path} has a run with other settings:\n{listed}\nUse another'
        ' --workdir or the same settings, or remove that directory.'
      )
  elif os.path.isdir(path) and os.listdir(path):
    raise errors.UserError(
      f'--workdir={path} is not empty and not a workdir (no {CONFIG_FILE}):'
      ' choose a new directory.'
    )
  # All processes check before process 0 writes.
  multihost_utils.sync_global_devices('workdir_checked')
  if jax.process_index() == 0:
    os.makedirs(path, exist_ok=True)
    write_json(os.path.join(path, MANIFEST_FILE), run_manifest)
    write_json(config_path, fields)
  multihost_utils.sync_global_devices('workdir_written')


def _differences(
  path: str, fields: Mapping[str, Any], run_manifest: Mapping[str, Any]
) -> list[str]:
  """Return 'name: old value there, new value here' for what changed."""
  old_fields = read_json(os.path.join(path, CONFIG_FILE))
  old_manifest = read_json(os.path.join(path, MANIFEST_FILE))
  rows = []
  for section in _COMPARED_SECTIONS:
    # Configs of networks without a graph do not have the section 'graph'.
    old, new = old_fields.get(section, {}), fields.get(section, {})
    rows += [
      (f'{section}.{k}', old.get(k), new.get(k)) for k in sorted({*old, *new})
    ]
  old, new = old_fields.get('data', {}), fields['data']
  rows += [(f'data.{k}', old.get(k), new.get(k)) for k in _COMPARED_DATA]
  rows += [
    (k, old_manifest.get(k), run_manifest.get(k)) for k in _COMPARED_MANIFEST
  ]
  return [
    f'{name}: {old!r} there, {new!r} here'
    for name, old, new in rows
    if old != new
  ]


def read_json(path: str) -> dict[str, Any]:
  """Read a JSON object; UserError if the file is missing or damaged."""
  try:
    with open(path, encoding='utf-8') as f:
      return json.load(f)
  except (OSError, json.JSONDecodeError) as error:
    raise errors.UserError(
      f'{path}: cannot read this file of the workdir ({error}): use a new'
      ' --workdir.'
    ) from error


def write_json(path: str, value: Mapping[str, Any]) -> None:
  """Write a JSON object atomically."""
  with (
    atomic_file.replacing(path) as temporary,
    open(temporary, 'w', encoding='utf-8') as f,
  ):
    json.dump(value, f, indent=2, sort_keys=True)
    f.write('\n')

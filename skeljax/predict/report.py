"""Predictions as text and as JSON.

A prediction is a dict as documented in docs/predict.md: the description of the
clip, 'top' with the most probable classes, and 'per_person'.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import skeljax
from skeljax import pretrained
from skeljax.predict import clips

# Version of the fields; increase it if one changes its meaning.
FORMAT = 'skeljax-predictions-2'
_MAX_ERRORS = 5

Prediction = Mapping[str, Any]


def num_views(loaded: pretrained.Pretrained) -> int:
  """Return the number of test views per clip, including flipped ones."""
  return loaded.config.data.num_clips * (1 + loaded.config.eval.mirrored)


def title(loaded: pretrained.Pretrained) -> str:
  """Return a line that describes the checkpoint."""
  config, views = loaded.config, num_views(loaded)
  return (
    f'{loaded.source}: {config.name}, {loaded.run.input},'
    f' {views} view{"s" * (views != 1)} per clip'
  )


def to_text(predictions: Sequence[Prediction]) -> str:
  """Return a table of the predictions for the terminal."""
  tables = [p['top'] for p in predictions]
  tables += [alone['top'] for p in predictions for alone in p['per_person']]
  width = max((len(row['name']) for top in tables for row in top), default=0)

  def table(top, indent):
    return [
      f'{indent}{place:3d}  {row["name"]:<{width}}'
      f'  {100 * row["probability"]:6.2f} %'
      for place, row in enumerate(top, 1)
    ]

  lines = []
  for p in predictions:
    lines.append(_headline(p))
    lines += [f'  note: {note}' for note in p['notes']]
    lines += table(p['top'], '')
    for alone in p['per_person']:
      lines.append(
        f'  person {alone["person"]}, frames {alone["first_frame"]} to'
        f' {alone["last_frame"]}'
      )
      lines += table(alone['top'], '  ')
    lines.append('')
  return '\n'.join(lines)


def _headline(p: Prediction) -> str:
  name = p['file']
  if p['format'] == clips.ANNOTATIONS:
    name += f': {p["id"]}'
  return (
    f'{name}  ({p["format"]}, {p["layout"]}, {p["frames"]} frames,'
    f' {p["persons"]} person{"s" * (p["persons"] != 1)})'
  )


def to_json(
  loaded: pretrained.Pretrained,
  predictions: Sequence[Prediction],
  failures: Sequence[Mapping[str, str]],
) -> dict[str, Any]:
  """Return the content of the --output file, see docs/predict.md."""
  config = loaded.config
  return {
    'format': FORMAT,
    'code_version': skeljax.__version__,
    'checkpoint': loaded.source,
    'config': config.name,
    'stream': str(loaded.run.input),
    'layout': loaded.spec.layout.name,
    'views': num_views(loaded),
    'average': config.eval.average,
    'assumed': list(loaded.notes) if loaded.is_assumed else [],
    'clips': list(predictions),
    'failed': list(failures),
  }


def errors_text(failures: Sequence[Mapping[str, str]], keep_going: bool) -> str:
  """Return the first few errors, one paragraph each."""
  lines = [failure['error'] for failure in failures[:_MAX_ERRORS]]
  if len(failures) > _MAX_ERRORS:
    lines.append(f'... and {len(failures) - _MAX_ERRORS} more.')
  if not keep_going:
    lines.append(
      'Nothing was predicted. Add --keep_going to predict the valid clips.'
    )
  return '\n'.join(lines)

"""What a network thinks of clips: as text for people, as JSON for programs."""

from collections.abc import Sequence
import dataclasses
from typing import Any

import skeljax
from skeljax import pretrained
from skeljax.predict import fitting
from skeljax.predict import own_clips
from skeljax.predict import ranking

# Names the fields below; another number where a field changes its meaning.
FORMAT = 'skeljax-predictions-1'
# Files of which an error tells everything.
_ERRORS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Failure:
  """A file or a clip that could not be used."""

  file: str
  error: str


@dataclasses.dataclass(frozen=True)
class Answer:
  """What a network thinks of a clip.

  Attributes:
    fitted: the clip.
    top: the most probable classes, best first.
    persons: the same for each person alone.
  """

  fitted: fitting.Fitted
  top: Sequence[ranking.Guess]
  persons: Sequence[tuple[fitting.Person, Sequence[ranking.Guess]]]


def title(loaded: pretrained.Pretrained) -> str:
  """One line about the checkpoint."""
  config = loaded.config
  views = config.data.num_clips * (1 + config.eval.mirrored)
  return (
    f'{loaded.source}: {config.name}, {loaded.run.input},'
    f' {views} {"view" if views == 1 else "views"} a clip'
  )


def to_text(answers: Sequence[Answer]) -> str:
  """The answers as a table for the terminal."""
  guesses = [g for answer in answers for g in answer.top]
  guesses += [g for a in answers for _, alone in a.persons for g in alone]
  width = max((len(g.name) for g in guesses), default=0)

  def table(top, indent):
    return [
      f'{indent}{place:3d}  {g.name:<{width}}  {100 * g.probability:6.2f} %'
      for place, g in enumerate(top, 1)
    ]

  lines = []
  for answer in answers:
    lines += [_headline(answer.fitted), *table(answer.top, '')]
    for person, top in answer.persons:
      lines.append(
        f'  person {person.number}, frames {person.first_frame} to'
        f' {person.last_frame}'
      )
      lines += table(top, '  ')
    lines.append('')
  return '\n'.join(lines)


def to_json(
  loaded: pretrained.Pretrained,
  answers: Sequence[Answer],
  failures: Sequence[Failure],
) -> dict[str, Any]:
  """The answers as docs/predict.md describes the file of --output."""
  config = loaded.config
  return {
    'format': FORMAT,
    'code_version': skeljax.__version__,
    'checkpoint': loaded.source,
    'config': config.name,
    'stream': str(loaded.run.input),
    'layout': loaded.spec.layout.name,
    'views': config.data.num_clips * (1 + config.eval.mirrored),
    'average': config.eval.average,
    'assumed': list(loaded.notes) if loaded.is_assumed else [],
    'clips': [
      {
        'file': a.fitted.clip.file,
        'id': a.fitted.clip.id,
        'form': a.fitted.clip.form,
        'layout': a.fitted.layout,
        'frames': a.fitted.num_frames,
        'persons': a.fitted.num_persons,
        'img_shape': list(a.fitted.img_shape)
        if all(a.fitted.img_shape)
        else None,
        'notes': list(a.fitted.notes),
        'top': [dataclasses.asdict(g) for g in a.top],
        'per_person': [
          {
            'person': person.number,
            'first_frame': person.first_frame,
            'last_frame': person.last_frame,
            'top': [dataclasses.asdict(g) for g in top],
          }
          for person, top in a.persons
        ],
      }
      for a in answers
    ],
    'failed': [dataclasses.asdict(f) for f in failures],
  }


def _headline(fitted: fitting.Fitted) -> str:
  clip = fitted.clip
  name = clip.file
  if clip.form == own_clips.ANNOTATIONS:
    name = f'{clip.file}: {clip.id}'
  persons = 'person' if fitted.num_persons == 1 else 'persons'
  line = (
    f'{name}  ({clip.form}, {fitted.layout}, {fitted.num_frames} frames,'
    f' {fitted.num_persons} {persons})'
  )
  return '\n'.join([line, *(f'  note: {note}' for note in fitted.notes)])


def in_words(failures: Sequence[Failure], keep_going: bool) -> str:
  """A paragraph for each of the first few, and what to do about all."""
  lines = [failure.error for failure in failures[:_ERRORS_SHOWN]]
  if len(failures) > _ERRORS_SHOWN:
    lines.append(f'... and {len(failures) - _ERRORS_SHOWN} more.')
  if not keep_going:
    lines.append('Nothing was predicted; --keep_going predicts what it can.')
  return '\n'.join(lines)

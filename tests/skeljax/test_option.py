"""Options declared once: flags, defaults and checks follow the dataclass."""

import dataclasses
import re

from absl import flags
import pytest

from skeljax import errors
from skeljax import option


@dataclasses.dataclass(frozen=True)
class _Options:
  name: str = option.field(help='Name of the dataset.')
  count: int = option.field(0, 'Number of files.', minimum=0)
  ratio: float | None = option.field(None, 'A ratio.', above=0, maximum=1)
  part: float = option.field(0.5, 'A part.', below=1, unit='clips')
  angles: tuple[float, ...] = option.field((), 'Angles.', minimum=0)
  mode: str = option.field('a', 'Mode.', choices=('a', 'b'))
  overwrite: bool = option.field(False, 'Replace it.')

  def __post_init__(self):
    option.check(self, '--')


@pytest.mark.parametrize(
  'field, value, expected',
  [
    ('count', -1, '--count=-1: expected a number at least 0'),
    ('count', 1.5, '--count=1.5: expected a whole number'),
    ('count', True, '--count=True: expected a whole number'),
    ('ratio', 0, '--ratio=0: expected a number at most 1 and more than 0'),
    ('ratio', float('nan'), '--ratio=nan: expected a number'),
    ('part', 1.0, '--part=1.0: expected a number less than 1'),
    ('ratio', 'x', '--ratio=x: expected a number'),
    ('angles', (1, -2), '--angles=(1,-2): expected a number at least 0'),
    ('angles', 3, '--angles=3: expected a tuple'),
    ('mode', 'c', '--mode=c: expected one of a, b'),
    ('name', None, '--name=None: expected a value'),
  ],
)
def test_values_outside_the_declaration_are_refused(field, value, expected):
  with pytest.raises(errors.UserError, match=re.escape(expected)):
    _Options(**{'name': 'x', field: value})


def test_flags_build_the_dataclass():
  values = flags.FlagValues()
  option.define_flags(_Options, ('angles',), values)
  values(
    ['x', '--name=n', '--count=3', '--ratio=0.5', '--mode=b', '--overwrite']
  )
  assert option.from_flags(_Options, values, angles=(1.0,)) == _Options(
    'n', 3, 0.5, 0.5, (1.0,), 'b', True
  )
  assert values['count'].help == 'Number of files.'


def test_flags_that_are_not_given_keep_the_defaults():
  values = flags.FlagValues()
  option.define_flags(_Options, ('angles',), values)
  values(['x', '--name=n'])
  assert option.from_flags(_Options, values) == _Options('n')

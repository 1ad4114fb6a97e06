"""Options of the command."""

import pytest

from skeljax import errors
from skeljax.convert import __main__ as command


@pytest.mark.parametrize(
  'fields, words',
  [
    (dict(output='x'), 'either --checkpoint'),
    (dict(checkpoint='a.pth', scores='b.pkl', output='x'), 'either --check'),
    (dict(checkpoint='a.pth'), '--output is missing'),
    (dict(checkpoint='a.pth', output='./a.pth'), 'is the input itself'),
    (dict(checkpoint='a.pth', output='x', down_stages='5;8'), 'such as 5,8'),
    (dict(checkpoint='a.pth', output='x', num_persons=-1), 'at least 0'),
    (dict(checkpoint='a.pth', output='x', naming='mmaction2x'), 'mmaction1x'),
  ],
)
def test_invalid_options_are_an_error(fields, words):
  with pytest.raises(errors.UserError, match=words):
    command.Options(**fields)


def test_options_without_effect_are_an_error():
  options = command.Options(
    checkpoint='runs/joint', output='a.pth', layout='coco', split='train'
  )
  with pytest.raises(errors.UserError, match='--layout, --split has no effect'):
    options.check_used(('step', 'naming'), 'a folder to .pth')
  options = command.Options(checkpoint='runs/joint', output='a.pth', step='3')
  options.check_used(('step', 'naming'), 'a folder to .pth')


@pytest.mark.parametrize(
  'text, stages', [('', None), ('none', ()), ('5', (5,)), ('5,8', (5, 8))]
)
def test_down_stages(text, stages):
  options = command.Options(
    checkpoint='a.pth', output='x', down_stages=text, num_persons=3
  )
  overrides = command.overrides(options)
  assert overrides.down_stages == stages
  assert overrides.num_persons == 3
  assert overrides.config is None and overrides.layout is None

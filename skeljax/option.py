"""Options declared once: a dataclass field with help text, choices and range.

    @dataclasses.dataclass(frozen=True)
    class Options:
      protocol: str = option.field('', 'Split protocol, for example xsub.')
      num_shards: int = option.field(0, 'Files per split; 0: auto.', minimum=0)

      def __post_init__(self):
        option.check(self, '--')

`define_flags(Options)` defines one absl flag per field, and
`from_flags(Options)` builds the dataclass from the parsed flags.
"""

from collections.abc import Iterable, Sequence
import dataclasses
import types
import typing
from typing import Any, TypeVar

from absl import flags

from skeljax import errors

T = TypeVar('T')

# --help lists the flags under the module that calls define_flags.
flags.disclaim_key_flags()


def field(
  default: Any = dataclasses.MISSING,
  help: str = '',
  *,
  choices: Sequence[Any] = (),
  minimum: float | None = None,
  maximum: float | None = None,
  above: float | None = None,
  below: float | None = None,
  **metadata: Any,
) -> Any:
  """Declare a field of an options dataclass.

  Args:
    default: default value; a field without one is required.
    help: help text of the flag, or a comment on the config field.
    choices: allowed values.
    minimum: smallest allowed value, of every element if the field is a tuple.
    maximum: largest allowed value.
    above: lower bound that is not itself allowed.
    below: upper bound that is not itself allowed.
    **metadata: further entries of the field's metadata, for the caller.
  """
  metadata.update(
    help=help, choices=tuple(choices), minimum=minimum, maximum=maximum,
    above=above, below=below,
  )  # fmt: skip
  return dataclasses.field(default=default, metadata=metadata)


def check(options: Any, prefix: str) -> None:
  """Check every field against its type, choices and range.

  Args:
    options: an instance of an options dataclass.
    prefix: what precedes the field name where users set it, for example '--'
      or '--config.input.'.

  Raises:
    UserError: names the field, its value and what is allowed.
  """
  hints = typing.get_type_hints(type(options))
  for declared in dataclasses.fields(options):
    if 'choices' in declared.metadata:
      value = getattr(options, declared.name)
      expected = _violation(value, hints[declared.name], declared.metadata)
      if expected:
        raise errors.UserError(
          f'{prefix}{declared.name}={_format(value)}: expected {expected}.'
        )


def define_flags(
  cls: type,
  leave_out: Iterable[str] = (),
  flag_values: flags.FlagValues = flags.FLAGS,
) -> None:
  """Define an absl flag for every field of an options dataclass.

  Args:
    cls: the dataclass.
    leave_out: fields that are not set by a flag of their own.
    flag_values: where the flags are registered.
  """
  hints = typing.get_type_hints(cls)
  for declared in dataclasses.fields(cls):
    if declared.name in leave_out or 'choices' not in declared.metadata:
      continue
    kinds = _types(hints[declared.name])
    default = declared.default
    if default is dataclasses.MISSING:
      default = None
    arguments = (declared.name, default, declared.metadata['help'])
    if declared.metadata['choices'] and str in kinds:
      name, default, help = arguments
      choices = [str(c) for c in declared.metadata['choices']]
      flags.DEFINE_enum(name, default, choices, help, flag_values=flag_values)
    elif bool in kinds:
      flags.DEFINE_bool(*arguments, flag_values=flag_values)
    elif int in kinds:
      flags.DEFINE_integer(*arguments, flag_values=flag_values)
    elif float in kinds:
      flags.DEFINE_float(*arguments, flag_values=flag_values)
    else:
      flags.DEFINE_string(*arguments, flag_values=flag_values)


def from_flags(
  cls: type[T], parsed: flags.FlagValues = flags.FLAGS, **values: Any
) -> T:
  """Build an options dataclass from the parsed absl flags.

  Args:
    cls: the dataclass.
    parsed: the flags, after parsing.
    **values: fields that do not come from a flag of their own.
  """
  options_class: Any = cls
  for declared in dataclasses.fields(options_class):
    if declared.name in parsed and declared.name not in values:
      values[declared.name] = parsed[declared.name].value
  return cls(**values)


def _types(hint: Any) -> tuple[Any, ...]:
  """Members of a union, or the type itself."""
  if isinstance(hint, types.UnionType):
    return typing.get_args(hint)
  return (hint,)


def _violation(value: Any, hint: Any, rules: Any) -> str:
  """What is expected instead of the value; '' where it is allowed."""
  kinds = _types(hint)
  if value is None:
    return '' if types.NoneType in kinds else 'a value'
  values = [value]
  if typing.get_origin(kinds[0]) is tuple:
    if not isinstance(value, tuple | list):
      return 'a tuple, for example (1,2)'
    values, kinds = list(value), typing.get_args(kinds[0])
  if rules['choices'] and any(v not in rules['choices'] for v in values):
    return f'one of {", ".join(map(str, rules["choices"]))}'
  is_bool = bool in kinds
  for name, allowed in (('a whole number', int), ('a number', float)):
    if allowed in kinds and not is_bool:
      accepted = (int, float) if allowed is float else (int,)
      # NOTE: bool is a subclass of int.
      if any(
        not isinstance(v, accepted) or isinstance(v, bool) for v in values
      ):
        return name
  bounds = [
    ('at least', rules['minimum'], lambda v, b: v >= b),
    ('at most', rules['maximum'], lambda v, b: v <= b),
    ('more than', rules['above'], lambda v, b: v > b),
    ('less than', rules['below'], lambda v, b: v < b),
  ]
  bounds = [b for b in bounds if b[1] is not None]
  # Written so that NaN fails too.
  if any(not holds(v, bound) for _, bound, holds in bounds for v in values):
    return 'a number ' + ' and '.join(f'{word} {b:g}' for word, b, _ in bounds)
  return ''


def _format(value: Any) -> str:
  """The value as it is typed on the command line."""
  if isinstance(value, tuple | list):
    return f'({",".join(map(str, value))})'
  return str(value)

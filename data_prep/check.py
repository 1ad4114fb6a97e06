"""Says what is in annotations, and what would go wrong in training.

  python -m data_prep.check ntu60_3d.pkl --layout=nturgb+d --protocol=xsub
  python -m data_prep.check train=gym_train.pkl,val=gym_val.pkl --layout=coco
  python -m data_prep.check --source=clips my_clips --labels=labels.csv

Exit status 0 when the clips can be prepared and trained on, 2 when not: each
finding says how to mend it. Without --protocol all splits are looked at;
without --layout any number of joints will do, as long as it is one. The flags
about the source are those of data_prep.main.
"""

from collections.abc import Sequence

from absl import flags

from data_prep import findings
from data_prep import source_flags
from data_prep import sources
from data_prep import summary
from data_prep import survey
from skeljax import cli
from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import class_names as class_names_lib


def define_flags() -> None:
  """Flags of `python -m data_prep.check`."""
  flags.FLAGS.set_gnu_getopt(True)  # The file may stand before the flags.
  source_flags.define()
  # So that --help lists them with those of this command.
  flags.adopt_module_key_flags(source_flags)
  flags.DEFINE_string(
    'protocol',
    '',
    'Look at these splits only: xsub takes xsub_train and xsub_val.',
  )
  flags.DEFINE_enum(
    'normalize',
    'none',
    ['none', 'mmaction0x', 'mmaction1x'],
    'The 3D normalisation that the clips are to be prepared with.',
  )


def main(argv: Sequence[str]) -> int:
  """Prints what is wrong with an annotation file; 2 if training would fail."""
  values = flags.FLAGS
  if len(argv) + bool(values.input) != 2:
    raise errors.UserError(
      'Name one annotation file, as in python -m data_prep.check ntu60_3d.pkl,'
      ' or train=TRAIN.pkl,val=VAL.pkl; or a folder with its --source. --help'
      ' lists the flags.'
    )
  text, num_errors = check(
    values.input or argv[1],
    source=values.source,
    choices=source_flags.choices(values),
    layout_name=values.layout,
    class_names=values.class_names,
    protocol=values.protocol,
    normalize=values.normalize,
    third_channel=values.third_channel,
  )
  print(text)
  return cli.USER_ERROR_STATUS if num_errors else 0


def check(
  path: str,
  *,
  source: str = 'pickle',
  choices: sources.Choices | None = None,
  layout_name: str = '',
  class_names: str = '',
  protocol: str = '',
  normalize: str = 'none',
  third_channel: str = 'auto',
) -> tuple[str, int]:
  """What is in the file, as text, and how many findings are errors.

  Args:
    path: an annotation file, or 'train=a.pkl,val=b.pkl'; or what another source
      asks for.
    source: a key of sources.SOURCES, without the demo.
    choices: what was said about the source; None for nothing.
    layout_name: a layout or layout file; '' takes that of the source, or any.
    class_names: a list or file of names; '' takes the names in the file.
    protocol: whose splits to look at; '' for all.
    normalize: 'none', 'mmaction0x' or 'mmaction1x'.
    third_channel: see readers.check_clip.

  Raises:
    UserError: the file cannot be read at all, or an argument is not known.
  """
  if source == 'demo':
    raise errors.UserError(
      '--source=demo makes its clips: there is no file to check.'
    )
  choices = choices or sources.Choices()
  inputs = sources.parse_input(source, path)
  sources.check(source, inputs, choices)
  layout_name = layout_name or sources.layout_of(source, inputs, choices)
  layout = skeletons.get_layout(layout_name) if layout_name else None
  names = class_names_lib.load_class_names(class_names) if class_names else ()
  annotations = sources.open_source(
    source, inputs, choices, names, layout.name if layout else ''
  )
  names = names or annotations.class_names
  seen = survey.look(
    annotations,
    layout=layout,
    num_classes=len(names),
    protocol=protocol,
    third_channel=third_channel,
  )
  found = findings.find(
    seen, layout=layout, class_names=names, normalize=normalize
  )
  num_errors = sum(finding.is_error for finding in found)
  blocks = [survey.describe(seen, layout, names)]
  if source == 'clips':
    names = names or [f'class_{i}' for i in range(seen.labels.max() + 1)]
    blocks.append(
      summary.describe(
        survey.balance(seen), names, layout.name if layout else 'not said'
      )
      + '\n'
    )
  # Errors first, and the verdict where the eye ends.
  blocks += [str(f) for f in sorted(found, key=lambda f: not f.is_error)]
  if found:
    blocks.append('')
  blocks.append(_verdict(num_errors, len(found) - num_errors))
  return '\n'.join(blocks), num_errors


def _verdict(num_errors: int, num_notes: int) -> str:
  notes = f'{num_notes} note{"" if num_notes == 1 else "s"}'
  if not num_errors:
    return f'Nothing is in the way of training ({notes}).'
  count = f'{num_errors} error{"" if num_errors == 1 else "s"}'
  return f'Training would go wrong: {count}, {notes}.'


def parse_flags(argv: Sequence[str]) -> Sequence[str]:
  """Absl's parser; a function, as cli.run lets those leave arguments over."""
  return flags.FLAGS(argv)


if __name__ == '__main__':
  cli.run(main, define_flags, parse_flags)

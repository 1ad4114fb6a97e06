"""Says what is in an annotation file, and what would go wrong in training.

  python -m data_prep.check ntu60_3d.pkl --layout=nturgb+d --protocol=xsub
  python -m data_prep.check train=gym_train.pkl,val=gym_val.pkl --layout=coco

Exit status 0 when the clips can be prepared and trained on, 2 when not: each
finding says how to mend it. Without --protocol all splits are looked at;
without --layout any number of joints will do, as long as it is one.
"""

from collections.abc import Sequence

from absl import flags

from data_prep import findings
from data_prep import survey
from skeljax import cli
from skeljax import errors
from skeljax import skeletons
from skeljax.data import class_names as class_names_lib
from skeljax.data import formats
from skeljax.data.formats import clips


def define_flags() -> None:
  """Flags of `python -m data_prep.check`."""
  flags.FLAGS.set_gnu_getopt(True)  # The file may stand before the flags.
  flags.DEFINE_string(
    'layout',
    '',
    'The skeleton: nturgb+d, coco, openpose-18, handmp, ucla, or a layout file'
    ' (JSON).',
  )
  flags.DEFINE_string(
    'class_names',
    '',
    'ntu60, ntu120, gym99, or a file with one name a line. Default: the names'
    ' in the annotation file.',
  )
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
  flags.DEFINE_enum(
    'third_channel',
    'auto',
    list(clips.THIRD_CHANNELS),
    'What a third channel of the keypoints is; auto asks where it is in doubt.',
  )


def main(argv: Sequence[str]) -> int:
  """Prints what is wrong with an annotation file; 2 if training would fail."""
  if len(argv) != 2:
    raise errors.UserError(
      'Name one annotation file, as in python -m data_prep.check ntu60_3d.pkl,'
      ' or train=TRAIN.pkl,val=VAL.pkl. --help lists the flags.'
    )
  values = flags.FLAGS
  text, num_errors = check(
    argv[1],
    layout_name=values.layout,
    class_names=values.class_names,
    protocol=values.protocol,
    normalize=values.normalize,
    third_channel=values.third_channel,
  )
  print(text)
  return cli.USER_ERROR_STATUS if num_errors else 0


def check(
  source: str,
  *,
  layout_name: str = '',
  class_names: str = '',
  protocol: str = '',
  normalize: str = 'none',
  third_channel: str = 'auto',
) -> tuple[str, int]:
  """What is in the file, as text, and how many findings are errors.

  Args:
    source: an annotation file, or 'train=a.pkl,val=b.pkl'.
    layout_name: a layout or layout file; '' for any.
    class_names: a list or file of names; '' takes the names in the file.
    protocol: whose splits to look at; '' for all.
    normalize: 'none', 'mmaction0x' or 'mmaction1x'.
    third_channel: see clips.check_item.

  Raises:
    UserError: the file cannot be read at all, or an argument is not known.
  """
  layout = skeletons.get_layout(layout_name) if layout_name else None
  names = class_names_lib.load_class_names(class_names) if class_names else ()
  annotations = formats.read_annotations(source)
  names = names or annotations.label_names
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
  # Errors first, and the verdict where the eye ends.
  blocks += [str(f) for f in sorted(found, key=lambda f: not f.is_error)]
  blocks.append(_verdict(num_errors, len(found) - num_errors))
  return '\n'.join(blocks), num_errors


def _verdict(num_errors: int, num_notes: int) -> str:
  notes = f'{num_notes} note{"" if num_notes == 1 else "s"}'
  if not num_errors:
    return f'\nNothing is in the way of training ({notes}).'
  count = f'{num_errors} error{"" if num_errors == 1 else "s"}'
  return f'\nTraining would go wrong: {count}, {notes}.'


def parse_flags(argv: Sequence[str]) -> Sequence[str]:
  """Absl's parser; a function, as cli.run lets those leave arguments over."""
  return flags.FLAGS(argv)


if __name__ == '__main__':
  cli.run(main, define_flags, parse_flags)

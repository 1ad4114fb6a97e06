"""Check annotations before they are prepared.

  python -m data_prep.check ntu60_3d.pkl --layout=nturgb+d --protocol=xsub
  python -m data_prep.check train=gym_train.pkl,val=gym_val.pkl --layout=coco
  python -m data_prep.check --source=clips my_clips --labels=labels.csv

The exit status is 0 if the dataset can be prepared and 2 otherwise; each
finding includes the fix. Without --protocol all splits are checked, without
--layout any number of joints is accepted if all clips have the same. The flags
are those of data_prep.main.
"""

from collections.abc import Sequence

from absl import flags

from data_prep import findings
from data_prep import options as options_lib
from data_prep import sources
from data_prep import statistics
from data_prep import survey
from skeljax import cli
from skeljax import errors
from skeljax import option

# Fields of the options that concern only the writing of a dataset, and
# keypoints in other files, which are not read here.
_NOT_CHECKED = (
  'skeletons',
  'valid_ratio',
  'box_threshold',
  'num_shards',
  'name',
  'output',
  'overwrite',
)


def define_flags() -> None:
  """Define the flags of `python -m data_prep.check`."""
  flags.FLAGS.set_gnu_getopt(True)  # The file may precede the flags.
  option.define_flags(options_lib.Options, _NOT_CHECKED)


def main(argv: Sequence[str]) -> int:
  """Print the findings; return 2 if the dataset cannot be prepared."""
  values = flags.FLAGS
  if len(argv) + bool(values.input) != 2:
    raise errors.UserError(
      'Name one annotation file, as in python -m data_prep.check ntu60_3d.pkl,'
      ' or train=TRAIN.pkl,val=VAL.pkl; or a folder with its --source.'
    )
  options = option.from_flags(
    options_lib.Options, input=values.input or argv[1]
  )
  text, num_errors = check(options)
  print(text)
  return cli.USER_ERROR_STATUS if num_errors else 0


def check(options: options_lib.Options) -> tuple[str, int]:
  """Return a report on a dataset and the number of errors in it.

  Raises:
    UserError: the input cannot be read at all.
  """
  if options.source == 'demo':
    raise errors.UserError('--source=demo has no input to check.')
  options.check_input()
  layout = sources.find_layout(options)
  dataset = sources.open_dataset(options, layout.name if layout else '')
  names = sources.class_names(options, dataset)
  surveyed = survey.Survey(dataset, options, layout, len(names))
  found = findings.find(surveyed, options, layout, names)
  num_errors = sum(finding.is_error for finding in found)
  blocks = [survey.describe(surveyed, layout, names)]
  if options.source == 'clips':
    labels = [clip.label or 0 for clip in dataset.clips]
    names = names or tuple(f'class_{i}' for i in range(max(labels) + 1))
    counted = {s: surveyed.statistics[s] for s in surveyed.splits}
    name = layout.name if layout else 'unknown'
    blocks.append(statistics.report(counted, names, name) + '\n')
  blocks += [str(f) for f in sorted(found, key=lambda f: not f.is_error)]
  if found:
    blocks.append('')
  notes = _count(len(found) - num_errors, 'note')
  blocks.append(
    f'Found {_count(num_errors, "error")}, {notes}.'
    if num_errors
    else f'No errors ({notes}).'
  )
  return '\n'.join(blocks), num_errors


def _count(number: int, noun: str) -> str:
  return f'{number} {noun}{"" if number == 1 else "s"}'


def parse_flags(argv: Sequence[str]) -> Sequence[str]:
  """Parse the flags; cli.run accepts arguments only of a parser function."""
  return flags.FLAGS(argv)


if __name__ == '__main__':
  cli.run(main, define_flags, parse_flags)

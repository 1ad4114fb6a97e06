"""Prepare a dataset: read skeletons once, write what training reads.

An annotation file of mmaction2 or pyskl with splits:

  python -m data_prep.main --source=pickle --input=ntu60_3d.pkl \\
      --protocol=xsub --layout=nturgb+d --normalize=mmaction0x \\
      --class_names=ntu60 --name=ntu60_xsub_3d --output=DIR

Older files, one list of annotations per split:

  python -m data_prep.main --source=pickle \\
      --input=train=gym_train.pkl,val=gym_val.pkl --layout=coco \\
      --class_names=gym99 --name=gym_2d --output=DIR

Your own clips, as a pose estimator wrote them, with their labels:

  python -m data_prep.main --source=clips --input=my_clips \\
      --labels=labels.csv --name=my_actions --output=DIR

Raw recordings of NTU RGB+D; likewise kinetics_skeleton, npy, npz and ucla:

  python -m data_prep.main --source=ntu --input=nturgb+d_skeletons \\
      --exclude=missing.txt --protocol=ntu60_xsub --name=ntu60_xsub_raw \\
      --output=DIR

The demo motions, which need no input:

  python -m data_prep.main --source=demo --name=demo_3d --output=DIR

For another skeleton, use --layout=my_skeleton.json with "name", "joints",
"bones" and "center". In training, set --config.data.dir=DIR. python -m
data_prep.check, with the same flags for the source, finds errors beforehand.

Apache Beam does the work; its own flags may follow. On one machine with more
workers: --direct_num_workers=4 --direct_running_mode=multi_processing. On a
cluster: --runner=FlinkRunner, SparkRunner or DataflowRunner with their flags,
and a DIR that all workers can write to.
"""

import argparse
from collections.abc import Sequence
import difflib

from absl import flags
from apache_beam.options import pipeline_options

from data_prep import options as options_lib
from data_prep import prepare
from skeljax import cli
from skeljax import errors
from skeljax import option


def define_flags() -> None:
  """Define the flags of this command."""
  option.define_flags(options_lib.Options)
  flags.DEFINE_string(
    'runner',
    'FnApiRunner',
    'Beam runner. The default runs in this process; DirectRunner would download'
    ' a program first.',
  )
  flags.DEFINE_string(
    'google_cloud_project',
    '',
    'For --runner=DataflowRunner: the --project flag of Beam, which is a'
    ' different flag here.',
  )


def main(argv: Sequence[str]) -> None:
  """Prepare the dataset of the flags; argv has the flags of Beam."""
  values = flags.FLAGS
  beam_arguments = [f'--runner={values.runner}', *argv[1:]]
  if values.google_cloud_project:
    beam_arguments.append(f'--project={values.google_cloud_project}')
  reject_unknown(argv[1:], list(values))
  prepare.prepare(option.from_flags(options_lib.Options), beam_arguments)


def parse_known_flags(argv: Sequence[str]) -> Sequence[str]:
  """Parse the flags of this command; return the others."""
  return flags.FLAGS(argv, known_only=True)


def reject_unknown(arguments: Sequence[str], our_flags: Sequence[str]) -> None:
  """Raise UserError for an argument that is not a flag of Beam.

  Beam ignores unknown flags, so a mistyped one would have no effect.
  """
  parsers: list[argparse.ArgumentParser] = []
  pipeline_options.PipelineOptions([]).get_all_options(
    add_extra_args_fn=parsers.append
  )
  _, unknown = parsers[0].parse_known_args(list(arguments))
  if not unknown:
    return
  known = [*our_flags, *vars(parsers[0].parse_args([]))]
  name = unknown[0].lstrip('-').split('=')[0]
  near = difflib.get_close_matches(name, known, n=1)
  suggestion = f' Did you mean --{near[0]}?' if near else ''
  raise errors.UserError(
    f'{unknown[0]} is not a flag of this command or of Apache Beam.{suggestion}'
    ' --help lists the flags.'
  )


if __name__ == '__main__':
  cli.run(main, define_flags, parse_known_flags)

"""Prepares a dataset: reads skeletons once, writes what training reads.

A file of mmaction2 or pyskl that holds its own splits:

  python -m data_prep.main --source=pickle --input=ntu60_3d.pkl \\
      --protocol=xsub --layout=nturgb+d --normalize=mmaction0x \\
      --class_names=ntu60 --name=ntu60_xsub_3d --output=DIR

Older files, one list of annotations a split:

  python -m data_prep.main --source=pickle \\
      --input=train=gym_train.pkl,val=gym_val.pkl --layout=coco \\
      --class_names=gym99 --name=gym_2d --output=DIR

Clips of your own, as a pose tool wrote them, and a list of what they show:

  python -m data_prep.main --source=clips --input=my_clips \\
      --labels=labels.csv --name=my_actions --output=DIR

Raw recordings of NTU RGB+D; kinetics_skeleton, npy, npz and ucla are alike:

  python -m data_prep.main --source=ntu --input=nturgb+d_skeletons \\
      --exclude=missing.txt --protocol=ntu60_xsub --name=ntu60_xsub_raw \\
      --output=DIR

The demo motions, which need no file:

  python -m data_prep.main --source=demo --name=demo_3d --output=DIR

A skeleton of your own is a small JSON file: --layout=my_skeleton.json with
"name", "joints", "bones" and "center". DIR then goes to training as
--config.data.dir=DIR. python -m data_prep.check, with the same flags about the
source, finds problems beforehand.

Apache Beam does the work; its own flags may follow. On one machine with more
workers: --direct_num_workers=4 --direct_running_mode=multi_processing. On a
cluster: --runner=FlinkRunner, SparkRunner or DataflowRunner with their flags,
and a DIR that all workers can write to.
"""

from collections.abc import Sequence
import difflib

from absl import flags
from apache_beam.options import pipeline_options

from data_prep import options as options_lib
from data_prep import prepare
from data_prep import shards
from data_prep import source_flags
from data_prep import sources
from skeljax import cli
from skeljax import errors


def define_flags() -> None:
  """Defines the flags of this command, once in a process."""
  source_flags.define()
  # So that --help lists them with those of this command.
  flags.adopt_module_key_flags(source_flags)
  flags.DEFINE_string(
    'protocol',
    '',
    'Which splits: xsub takes xsub_train and xsub_val of the file, ntu60_xsub'
    ' those of --source=ntu. May be left out where there is only one choice.',
  )
  flags.DEFINE_enum(
    'normalize',
    'none',
    list(shards.NORMALIZERS),
    '3D normalisation: mmaction1x (PreNormalize3D), mmaction0x (the one of the'
    ' 0.x generator), or none. The recipe that you train says which.',
  )
  flags.DEFINE_enum(
    'project',
    'none',
    list(shards.PROJECTIONS),
    'Makes a 2D dataset of 3D skeletons, for PoseC3D: orthographic leaves the'
    ' depth out (x right, y up) and fits each clip, with one scale, into a'
    ' picture of 1920 x 1080 pixels; absent joints get score 0, others 1.',
  )
  flags.DEFINE_string(
    'name', '', 'Name of the dataset, as you will ask for it.'
  )
  flags.DEFINE_string('output', '', 'Directory that holds prepared datasets.')
  flags.DEFINE_integer(
    'max_persons',
    None,
    'Of more persons in a clip keep those that move most (default 2); of'
    ' compressed clips, in each frame those with the highest scores (default'
    ' 10). 0 keeps all.',
    lower_bound=0,
  )
  flags.DEFINE_bool(
    'drop_empty', False, 'Leave clips without a skeleton out of the dataset.'
  )
  flags.DEFINE_integer(
    'num_shards',
    0,
    'Files a split; 0: one for every 64 MB, and, unless it is a pickle, one for'
    ' every 1000 clips.',
    lower_bound=0,
  )
  flags.DEFINE_bool(
    'overwrite', False, 'Replace a dataset of this name, once the new is whole.'
  )
  flags.DEFINE_string(
    'runner',
    'FnApiRunner',
    'Beam runner. The default works in this process; DirectRunner would'
    ' download a program first.',
  )
  flags.DEFINE_string(
    'google_cloud_project',
    '',
    "For --runner=DataflowRunner: what Beam's own --project would be, which"
    ' means something else here.',
  )
  _define_compressed_flags()


def _define_compressed_flags() -> None:
  """Defines what concerns the compressed form of Kinetics-400."""
  flags.DEFINE_string(
    'skeletons',
    '',
    'Directory of the keypoints that compressed annotations (Kinetics-400)'
    ' leave out: ID.pkl for every clip, or the bundles named by raw_file.',
  )
  flags.DEFINE_float(
    'valid_ratio',
    0.0,
    'Train on the compressed clips that show somebody, in a box of the'
    ' --box_threshold, in so large a part of their frames, and on such boxes'
    ' only. 0: on all clips with all their boxes, as published. Validation'
    ' clips all count.',
    lower_bound=0.0,
    upper_bound=1.0,
  )
  flags.DEFINE_float(
    'box_threshold',
    None,
    'Score that boxes need where there is a --valid_ratio: 0.5 (default), 0.6,'
    ' 0.7, 0.8 or 0.9. The skeletons of other boxes are left out.',
  )


def main(argv: Sequence[str]) -> None:
  """Prepares what the flags say; argv holds Beam's own flags."""
  values = flags.FLAGS
  beam_arguments = [f'--runner={values.runner}', *argv[1:]]
  if values.google_cloud_project:
    beam_arguments.append(f'--project={values.google_cloud_project}')
  reject_unknown(argv[1:], list(values))
  prepare.prepare(
    options_lib.Options(
      source=values.source,
      inputs=sources.parse_input(values.source, values.input),
      protocol=values.protocol,
      layout=values.layout,
      normalize=values.normalize,
      project=values.project,
      name=values.name,
      output=values.output,
      class_names=values.class_names,
      third_channel=values.third_channel,
      skeletons=values.skeletons,
      valid_ratio=values.valid_ratio,
      box_threshold=values.box_threshold,
      max_persons=values.max_persons,
      drop_empty=values.drop_empty,
      num_shards=values.num_shards,
      overwrite=values.overwrite,
      choices=source_flags.choices(values),
    ),
    beam_arguments,
  )


def parse_known_flags(argv: Sequence[str]) -> Sequence[str]:
  """Takes our flags out of argv; what is left is Beam's, or a mistake."""
  return flags.FLAGS(argv, known_only=True)


def reject_unknown(arguments: Sequence[str], our_flags: Sequence[str]) -> None:
  """Raises UserError if Beam does not know one of the arguments either.

  Beam ignores what it does not know, so a mistyped flag would do nothing.
  """
  parsers = []
  pipeline_options.PipelineOptions([]).get_all_options(
    add_extra_args_fn=parsers.append
  )
  _, unknown = parsers[0].parse_known_args(list(arguments))
  if not unknown:
    return
  known = [*our_flags, *vars(parsers[0].parse_args([]))]
  name = unknown[0].lstrip('-').split('=')[0]
  near = difflib.get_close_matches(name, known, n=1)
  proposal = f' Did you mean --{near[0]}?' if near else ''
  raise errors.UserError(
    f'{unknown[0]} is neither a flag of this command nor of Apache'
    f' Beam.{proposal} --help lists the flags.'
  )


if __name__ == '__main__':
  cli.run(main, define_flags, parse_known_flags)

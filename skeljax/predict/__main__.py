"""Says which actions clips of your own show.

    python -m skeljax.predict --checkpoint=runs/my_run clip1.json clip2.json

The checkpoint brings the preprocessing that it was trained with. A clip is a
file, or a folder with a file a frame, of any form in docs/formats.md, or an
annotation file with many clips; see docs/predict.md.
"""

from collections.abc import Sequence
import json
from typing import Any

from absl import flags

from skeljax import atomic_file
from skeljax import cli
from skeljax import errors
from skeljax import pretrained
from skeljax import skeletons
from skeljax.predict import checkpoint
from skeljax.predict import fitting
from skeljax.predict import mismatch
from skeljax.predict import own_clips
from skeljax.predict import ranking
from skeljax.predict import report
from skeljax.readers import checks
from skeljax.readers import clip_formats
from skeljax.readers import ntu_skeleton
from skeljax.training import metric_writer


def read_clips(
  paths: Sequence[str],
  expected: mismatch.Expected,
  form: str,
  options: clip_formats.ReadOptions,
  *,
  per_person: bool = False,
) -> tuple[list[fitting.Fitted], list[report.Failure]]:
  """Reads and checks all clips of some files.

  Args:
    paths: of the files.
    expected: by the checkpoint.
    form: of the files, or 'auto'.
    options: how to read them.
    per_person: whether to make a record of each person too.

  Returns:
    The clips that can be used, in the order of the files, and the others.
  """
  found, failures = [], []
  with metric_writer.progress_bar(len(paths), unit='file') as bar:
    for path in paths:
      try:
        listed = own_clips.list_clips(
          path, form, options, max_persons=expected.max_persons_in_frame
        )
      except errors.UserError as error:
        failures.append(report.Failure(path, str(error)))
        listed = []
      for clip in listed:
        try:
          found.append(fitting.fit(clip, expected, per_person=per_person))
        except errors.UserError as error:
          failures.append(report.Failure(path, str(error)))
      bar.update()
  return found, failures


def predict(
  loaded: pretrained.Pretrained,
  found: Sequence[fitting.Fitted],
  top: int,
) -> list[report.Answer]:
  """The most probable classes of clips, and of their persons.

  Args:
    loaded: the checkpoint.
    found: clips that were read for it.
    top: how many classes.
  """
  records = [clip.record for clip in found]
  records += [p.record for clip in found for p in clip.persons]
  scores = ranking.score_clips(loaded, records)
  average = loaded.config.eval.average
  names = loaded.spec.class_names
  ranked = [
    ranking.rank(row, names, top)
    for row in ranking.probabilities(scores, average)
  ]
  alone = iter(ranked[len(found) :])
  return [
    report.Answer(
      clip, guesses, [(person, next(alone)) for person in clip.persons]
    )
    for clip, guesses in zip(found, ranked)
  ]


_STRINGS = (
  ('checkpoint', None, 'Workdir of a run, or a PyTorch file (.pth).'),
  ('step', 'last', 'Which one: last, best or a step.'),
  ('layout', '', "Of the files' joints; what the form says when empty."),
  ('img_shape', '', 'HEIGHTxWIDTH of pictures where the file does not say.'),
  ('output', None, 'JSON file to write.'),
  ('class_names', '', 'A known list, or a file with one name a line.'),
)
_ENUMS = (
  ('form', own_clips.FORMS, 'What wrote the files.'),
  (
    'tracking',
    ('oks', 'iou', 'none'),
    'Who is who from frame to frame, where the tool gives no ids.',
  ),
  (
    'coordinates',
    ('image', 'world'),
    'Which landmarks of MediaPipe: pixels or metres.',
  ),
  (
    'denoise',
    ntu_skeleton.DENOISE,
    'Which persons of raw NTU files: see data_prep.',
  ),
  (
    'third_channel',
    checks.THIRD_CHANNELS,
    'What a third channel of keypoints is.',
  ),
)
_INTEGERS = (
  ('top', 5, 'How many classes to name.'),
  ('num_clips', 0, 'Views a clip; 0: as configured.'),
  ('batch_size', 0, 'Clips a step; 0: as configured.'),
  (
    'max_persons',
    None,
    'Keep so many persons, those that move most; 0: all. Unset: as many as'
    ' were kept for the training; all for a published PoseC3D.',
  ),
)
_BOOLEANS = (
  ('per_person', False, 'Score each person alone, too.'),
  (
    'mirrored',
    None,
    'PoseC3D: score mirror images too; unset: as configured.',
  ),
  ('check_units', True, 'Refuse clips of another size than in training.'),
  ('keep_going', False, 'Report what cannot be used, predict the others.'),
)


def define_flags(values: flags.FlagValues = flags.FLAGS) -> None:
  """Flags of `python -m skeljax.predict`."""
  for name, default, text in _STRINGS:
    flags.DEFINE_string(name, default, text, values)
  for name, choices, text in _ENUMS:
    flags.DEFINE_enum(name, choices[0], choices, text, values)
  for name, number, text in _INTEGERS:
    flags.DEFINE_integer(name, number, text, flag_values=values)
  for name, is_on, text in _BOOLEANS:
    flags.DEFINE_bool(name, is_on, text, values)


def main(argv: Sequence[str]) -> int:
  """Predicts the files named in argv, prints and writes what comes out."""
  return run(flags.FLAGS, argv[1:])


def run(args: flags.FlagValues, paths: Sequence[str]) -> int:
  """The command, with its flags.

  Args:
    args: those of define_flags.
    paths: of the files.

  Returns:
    0, or 2 where some of the files could not be used (--keep_going).

  Raises:
    UserError: the flags contradict each other, or nothing was predicted.
  """
  _check_flags(args)
  own_clips.check_files(paths)
  loaded = checkpoint.load(args)
  expected = checkpoint.expected(loaded, args)
  found, failures = read_clips(
    paths,
    expected,
    args.form,
    _read_options(args),
    per_person=args.per_person,
  )
  if failures and (not args.keep_going or not found):
    raise errors.UserError(report.in_words(failures, args.keep_going))
  if not found:
    raise errors.UserError(f'There is no clip in {", ".join(paths)}.')
  answers = predict(loaded, found, args.top)
  # First, so that a file that cannot be written costs nobody the answers.
  print(report.title(loaded))
  print()
  print(report.to_text(answers), end='', flush=True)
  if args.output:
    write_json(args.output, report.to_json(loaded, answers, failures))
    print(f'\npredictions written to {args.output}')
  if failures:
    return cli.report(errors.UserError(report.in_words(failures, True)))
  return 0


def _check_flags(args: flags.FlagValues) -> None:
  if not args.checkpoint:
    raise errors.UserError(
      '--checkpoint=WORKDIR_OR_PTH is missing, for example'
      ' --checkpoint=runs/agcn_bone-bone-demo_3d_mmaction0x.'
    )
  if args.output and not args.output.endswith('.json'):
    raise errors.UserError(
      f'--output={args.output}: predictions are written as JSON, for example'
      ' --output=predictions.json.'
    )
  lowest = {'top': 1, 'num_clips': 0, 'batch_size': 0, 'max_persons': 0}
  for name, least in lowest.items():
    value = args[name].value
    if value is not None and value < least:
      raise errors.UserError(
        f'--{name}={value}: a number of {least} or more is expected.'
      )


def _read_options(args: flags.FlagValues) -> clip_formats.ReadOptions:
  if args.layout:
    skeletons.get_layout(args.layout)  # A mistake in it is no file's fault.
  return clip_formats.ReadOptions(
    tracking=args.tracking,
    coordinates=args.coordinates,
    img_shape=checks.parse_img_shape(args.img_shape),
    denoise=args.denoise,
    layout=args.layout,
  )


def write_json(path: str, content: Any) -> None:
  """Writes the file of --output, whole or not at all."""
  with (
    atomic_file.replacing(path) as temporary,
    # Names of files need not be text; JSON takes what this makes of them.
    open(temporary, 'w', encoding='utf-8', errors='backslashreplace') as file,
  ):
    json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
    file.write('\n')


if __name__ == '__main__':
  cli.run(main, define_flags, flags_parser=lambda argv: flags.FLAGS(argv))

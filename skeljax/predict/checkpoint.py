"""The checkpoint that a prediction uses, and what it expects of clips."""

import dataclasses

from absl import flags
from absl import logging
from ml_collections import config_dict

from skeljax import errors
from skeljax import pretrained
from skeljax import run as run_lib
from skeljax import scoring
from skeljax.datasets import class_names as class_names_lib
from skeljax.predict import mismatch
from skeljax.readers import compressed


def load(args: flags.FlagValues) -> pretrained.Pretrained:
  """The checkpoint, with what the flags of the command replace.

  Raises:
    UserError: there is no such checkpoint, or the flags do not fit it.
  """
  loaded = pretrained.load(args.checkpoint, args.step)
  config = config_dict.ConfigDict(loaded.config.to_dict())
  if args.num_clips:
    config.data.num_clips = args.num_clips
  if args.batch_size:
    config.eval.batch_size = args.batch_size
  if args.mirrored is not None:
    config.eval.mirrored = args.mirrored
  spec = loaded.spec
  # Before the clips are read, which may take long.
  run = run_lib.Run(
    config, dataclasses.replace(spec, max_frames=max(spec.max_frames, 1))
  )
  scoring.check_views(run, config.data.num_clips, config.eval.mirrored)
  run.sampling(config.data.num_clips)
  if args.class_names:
    names = class_names_lib.load_class_names(args.class_names)
    if len(names) != spec.num_classes:
      raise errors.UserError(
        f'--class_names={args.class_names} has {len(names)} names, and'
        f' {loaded.source} tells {spec.num_classes} classes apart.'
      )
    spec = dataclasses.replace(spec, class_names=names)
  elif not spec.has_class_names:
    logging.info(
      '%s does not name its classes, which are numbered from 0;'
      ' --class_names=FILE does (%s are known)',
      loaded.source,
      ', '.join(class_names_lib.known_lists()),
    )
  return dataclasses.replace(loaded, config=config, spec=spec)


def expected(
  loaded: pretrained.Pretrained, args: flags.FlagValues
) -> mismatch.Expected:
  """What clips must be like for a checkpoint that `load` gave."""
  spec = loaded.spec
  if loaded.is_assumed:
    spec = dataclasses.replace(spec, normalize=loaded.config.data.normalize)
  max_persons, in_frame = _persons(loaded, args.max_persons)
  return mismatch.Expected(
    source=loaded.source,
    config=loaded.config,
    spec=spec,
    is_assumed=loaded.is_assumed,
    max_persons=max_persons,
    max_persons_in_frame=in_frame,
    third_channel=args.third_channel,
    check_units=args.check_units,
  )


def _persons(
  loaded: pretrained.Pretrained, given: int | None
) -> tuple[int, int]:
  """Persons of a clip that are kept, and of a frame of a compressed one."""
  spec, most = loaded.spec, compressed.DEFAULT_MAX_PERSONS
  if loaded.input_kind == 'joints':
    if given is not None and not 0 < given <= spec.num_persons:
      raise errors.UserError(
        f'--max_persons={given}: {loaded.source} was trained with'
        f' {spec.num_persons} persons a clip and takes as many at most.'
      )
    kept = given or spec.num_persons
    return kept, min(kept, most)
  if given is not None:
    return given, given
  if loaded.is_assumed or spec.max_persons is None:
    return 0, most  # As published.
  in_frame = spec.max_persons_in_frame
  return spec.max_persons, most if in_frame is None else in_frame

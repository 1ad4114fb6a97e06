"""Write a dataset in the format of TFDS, with deterministic shards.

Beam distributes the shards, each a range of rows of one scratch file: clips
keep the order of the input, and the same input and options give the same bytes
on any runner with any number of workers. A TFDS Beam builder would send every
encoded clip through a shuffle and serialize it in random field order; only the
metadata are written by TFDS.
"""

from collections.abc import Iterator, Mapping, Sequence
import dataclasses
import pathlib
import pickle
from typing import Any

from absl import logging
from apache_beam.options import pipeline_options
import numpy as np
import tensorflow_datasets as tfds

from data_prep import jobs
from data_prep import keypoint_files
from data_prep import options as options_lib
from data_prep import progress
from data_prep import rows as rows_lib
from data_prep import shards
from data_prep import statistics
from skeljax import errors
from skeljax import readers
from skeljax import skeletons
from skeljax.datasets import prepared
from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec

_VERSION = '1.0.0'
# Large enough for fast reads from a network disk, small enough to keep a dozen
# workers busy with a dataset of the size of NTU60.
_SHARD_BYTES = 64 << 20
# Clips may be slow to read, so that the size alone would not balance the work.
_SHARD_CLIPS = 1000
# Clips per split from which its size is estimated.
_CLIPS_MEASURED = 8
# Training clips from which the body size is measured.
_BODIES_MEASURED = 32
_IDS_SHOWN = 10


@dataclasses.dataclass
class Writer:
  """Writes one dataset.

  Attributes:
    options: what to prepare.
    dataset: the clips; they are released.
    layout: skeleton layout.
    class_names: indexed by label; () to number the classes.
    directory: temporary folder that all workers can write to.
    beam_options: options of Beam.
  """

  options: options_lib.Options
  dataset: readers.RawDataset
  layout: skeletons.Layout
  class_names: Sequence[str]
  directory: pathlib.Path
  beam_options: pipeline_options.PipelineOptions

  def write(
    self, notes: Mapping[str, Any]
  ) -> tuple[pathlib.Path, dict[str, statistics.Statistics]]:
    """Write the dataset; `notes` are further metadata.

    Returns:
      The folder NAME, and the statistics per split.

    Raises:
      UserError: the input has an error.
    """
    decoder, ranges = self._rows()
    spec = self._spec(decoder)
    self._target.mkdir(parents=True)
    tasks = {
      split: self._tasks(split, rows, decoder, spec)
      for split, rows in ranges.items()
    }
    all_tasks = [task for split_tasks in tasks.values() for task in split_tasks]
    logging.info('writing %d shards of %s', len(all_tasks), self.options.name)
    results = iter(
      jobs.run(
        shards.write_shard,
        all_tasks,
        what='writing',
        options=self.beam_options,
        results_path=str(self.directory / 'shards.results'),
      )
    )
    counted = {s: [next(results) for _ in tasks[s]] for s in tasks}
    merged = {s: statistics.merge(parts) for s, parts in counted.items()}
    self._report(merged)
    train = [
      prepared.Shard(task.path, part.num_clips)
      for task, part in zip(tasks['train'], counted['train'], strict=True)
    ]
    spec = dataclasses.replace(
      spec,
      num_persons=max(s.num_persons for s in merged.values()),
      max_frames=max(s.max_frames for s in merged.values()),
      has_img_shape=not any(s.num_unknown_img_shape for s in merged.values()),
      body_size=_body_size(prepared.ClipSource(train, spec)),
    )
    self._write_metadata(spec, notes, counted)
    return self._target.parent, merged

  @property
  def _target(self) -> pathlib.Path:
    return self.directory / 'build' / self.options.name / _VERSION

  @property
  def _scratch(self) -> str:
    return str(self.directory / 'rows.array_record')

  def _rows(self) -> tuple[rows_lib.Decoder, dict[str, range]]:
    """Write the scratch file; return its decoder and the rows per split."""
    options, dataset = self.options, self.dataset
    train, val = readers.protocol_splits(dataset, options.protocol)
    train = rows_lib.valid_positions(dataset, train, options.selection())
    splits = {'train': train, 'val': val}
    dtypes = rows_lib.storage_dtypes(
      dataset, (p for positions in splits.values() for p in positions)
    )
    ranges, start = {}, 0
    for split, positions in splits.items():
      ranges[split] = range(start, start + len(positions))
      start += len(positions)
    files = keypoint_files.KeypointFiles(options.skeletons, str(self.directory))
    with progress.Progress('reading', start) as shown:
      rows = self._encoded_rows(splits, files, shown)
      shards.write_records(self._scratch, rows, shards.SCRATCH_OPTIONS)
    files.unpack(self.beam_options)
    if not self.class_names:
      self.class_names = _numbered_classes(dataset, [*train, *val])
    decoder = rows_lib.Decoder(
      options, self.layout, len(self.class_names)
    ).fit_first(shards.read_rows(self._scratch, range(start)), dtypes)
    if decoder is None:
      raise errors.UserError(
        f'{dataset.source}: all {start:,} clips are empty: no frames, no persons,'
        ' or only zeros.'
      )
    for name in ('normalize', 'project'):
      value = getattr(options, name)
      if value != 'none' and decoder.num_channels != 3:
        raise errors.UserError(
          f'--{name}={value} is for 3D skeletons, and {dataset.source} has 2D'
          f' keypoints. Use --{name}=none.'
        )
    return decoder, ranges

  def _encoded_rows(
    self,
    splits: Mapping[str, Sequence[int]],
    files: keypoint_files.KeypointFiles,
    shown: progress.Progress,
  ) -> Iterator[bytes]:
    """Yield the pickled row of every clip and release it after its last use."""
    dataset, options = self.dataset, self.options
    uses = np.zeros(len(dataset.clips), np.int8)
    for positions in splits.values():
      uses[np.asarray(positions, np.int64)] += 1
    for position in np.flatnonzero(uses == 0):
      dataset.release(position)
    for split, positions in splits.items():
      for position in positions:
        clip = dataset.clips[position]
        rows_lib.check_label(clip, len(self.class_names))
        keypoints = files.keypoints(clip) if options.skeletons else None
        selection = options.selection(split)
        yield pickle.dumps(
          rows_lib.make_row(dataset, position, selection, keypoints)
        )
        uses[position] -= 1
        if not uses[position]:
          dataset.release(position)
        shown.advance_to(shown.done + 1)

  def _spec(self, decoder: rows_lib.Decoder) -> DataSpec:
    """The spec of the records, without what the workers count."""
    options = self.options
    max_persons = options.num_kept
    if options.skeletons:
      max_persons = options.selection().max_persons or 0
    spec = DataSpec(
      layout=self.layout,
      class_names=tuple(self.class_names),
      num_channels=decoder.num_channels,
      num_persons=1,
      keypoint_dtype=decoder.keypoint_dtype,
      score_dtype=decoder.score_dtype,
      normalize=options.normalize,
      project=options.project,
      max_persons=max_persons,
      max_persons_in_frame=options.max_persons,
    )
    if options.normalize != 'none':
      # In float16 the motion between normalized frames would lose 2 %.
      return dataclasses.replace(spec, keypoint_dtype='float32')
    if options.project != 'none':
      return dataclasses.replace(
        spec, num_channels=2, keypoint_dtype='float32', score_dtype='float16'
      )
    return spec

  def _tasks(
    self, split: str, rows: range, decoder: rows_lib.Decoder, spec: DataSpec
  ) -> list[shards.ShardTask]:
    """The shards of a split: equal parts of its rows, in order."""
    count = self.options.num_shards
    if not count:
      size = self._estimate_bytes(rows, decoder, spec)
      count = max(-(-size // _SHARD_BYTES), -(-len(rows) // _SHARD_CLIPS))
    count = min(count, len(rows))
    paths = self._template(split).sharded_filepaths(count)
    bounds = [len(rows) * i // count for i in range(count + 1)]
    return [
      shards.ShardTask(
        str(path), self._scratch, rows[start:stop], decoder, spec
      )
      for path, start, stop in zip(paths, bounds, bounds[1:])
    ]

  def _estimate_bytes(
    self, rows: range, decoder: rows_lib.Decoder, spec: DataSpec
  ) -> int:
    """Size of the records of a split, from clips at even distances.

    They are not random: the number of shards must depend only on the input.
    """
    count = min(_CLIPS_MEASURED, len(rows))
    chosen = [rows[len(rows) * i // count] for i in range(count)]
    size = 0
    for row in shards.read_rows(self._scratch, chosen):
      try:
        size += len(records.encode(decoder.decode(row), spec))
      except readers.ClipError as error:
        if error.kind != 'empty':
          raise
    return size * len(rows) // count

  def _report(self, counted: Mapping[str, statistics.Statistics]) -> None:
    """Log dropped clips and persons; raise UserError if they must not be."""
    options, source = self.options, self.dataset.source
    total = statistics.merge(counted.values())
    if total.empty:
      shown = readers.first_few(total.empty, _IDS_SHOWN)
      if not options.drop_empty:
        raise errors.UserError(
          f'{source}: {len(total.empty):,} clips are empty (no frames, no'
          f' persons, or only zeros): {shown}. Remove them from the splits, or'
          ' add --drop_empty.'
        )
      logging.warning('dropped %d empty clips: %s', len(total.empty), shown)
    for split, split_counted in counted.items():
      if not split_counted.num_clips:
        raise errors.UserError(f'{source}: no clip is left in {split}.')
    if total.num_cut:
      logging.info(
        '%d clips have more than %d persons: kept those with the most motion,'
        ' dropped %d persons (--max_persons)',
        total.num_cut,
        options.num_kept,
        total.num_dropped,
      )
    if total.num_crowded:
      logging.info(
        '%d clips have more than %d persons in a frame: kept those with the'
        ' highest scores (--max_persons)',
        total.num_crowded,
        options.selection().max_persons,
      )

  def _write_metadata(
    self,
    spec: DataSpec,
    notes: Mapping[str, Any],
    counted: Mapping[str, Sequence[statistics.Statistics]],
  ) -> None:
    total = statistics.merge(s for parts in counted.values() for s in parts)
    # Ten persons per frame of a compressed clip are published: not a cut.
    is_cut = self.options.selection().keeps_fewer_persons
    tfds.folder_dataset.write_metadata(
      data_dir=str(self._target),
      features=records.features(spec),
      split_infos=[
        tfds.core.SplitInfo(
          name=split,
          shard_lengths=[part.num_clips for part in parts],
          num_bytes=sum(part.num_bytes for part in parts),
          filename_template=self._template(split),
        )
        for split, parts in counted.items()
      ],
      filename_template=self._template(None),
      check_data=False,
      description='Human skeletons labelled with actions.',
      # The shards have the order of the input.
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(
        **notes,
        schema_version=records.SCHEMA_VERSION,
        spec=spec.to_dict(),
        num_cut=total.num_cut + is_cut * total.num_crowded,
      ),
    )

  def _template(self, split: str | None) -> tfds.core.ShardedFileTemplate:
    return tfds.core.ShardedFileTemplate(
      dataset_name=self.options.name,
      data_dir=self._target,
      split=split,
      filetype_suffix='array_record',
    )


def _numbered_classes(
  dataset: readers.RawDataset, positions: Sequence[int]
) -> list[str]:
  count = max(dataset.clips[p].label for p in positions) + 1
  logging.warning(
    '%s has no class names: they are set to class_0 to class_%d. Set'
    ' --class_names=FILE, one name per line.',
    dataset.source,
    count - 1,
  )
  return [f'class_{i}' for i in range(count)]


def _body_size(source: prepared.ClipSource) -> float:
  """Median size of the skeletons in some clips, in their unit."""
  step = max(1, len(source) // _BODIES_MEASURED)
  sizes = [
    records.body_size(source[i]['keypoint'])
    for i in range(0, len(source), step)
  ]
  return float(np.median([size for size in sizes if size] or [0.0]))

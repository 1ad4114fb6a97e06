"""The TFDS builder: a Beam job that writes deterministic ArrayRecord shards.

It differs from a plain TFDS Beam builder in how the shards are written. TFDS
sends every encoded clip through a Beam shuffle (several copies in memory on one
machine) and serialises it in the order of a protobuf map (other bytes in every
run). Here Beam distributes the shards to be written, each a range of rows of
one scratch file; the clips stay in the annotation file's order, the same input
and options give the same bytes on any runner with any number of workers, and
TFDS's metadata are written as usual, so that TFDS reads the result.
"""

from collections.abc import Sequence
import dataclasses
import os
from typing import Any

from absl import logging
import numpy as np
import tensorflow_datasets as tfds

from data_prep import jobs
from data_prep import scratch
from data_prep import shards
from data_prep import summary
from skeljax import errors
from skeljax import skeletons
from skeljax.datasets import prepared
from skeljax.datasets import records
from skeljax.datasets.spec import DataSpec

# Persons of a whole clip that are kept by default.
_USUALLY_KEPT = 2
# Enough clips to tell metres from millimetres.
_MEASURED_CLIPS = 32
_DESCRIPTION = 'Human skeletons with the action that they show.'


@dataclasses.dataclass(eq=False, kw_only=True)
class ClipsConfig(tfds.core.BuilderConfig):
  """What one preparation writes; `name` is the dataset's name.

  Attributes:
    clips: the checked clips, in the scratch file.
    layout: their skeleton layout.
    class_names: one name a label.
    normalize: a key of shards.NORMALIZERS.
    project: a key of shards.PROJECTIONS.
    spec: how the records are to be stored.
    num_shards: files by split.
    notes: metadata that do not depend on the clips.
  """

  clips: scratch.CheckedClips
  layout: skeletons.Layout
  class_names: tuple[str, ...]
  normalize: str
  project: str
  spec: shards.RecordSpec
  num_shards: dict[str, int]
  notes: dict[str, Any]


class SkeletonClips(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Builds DATA_DIR/NAME/VERSION from checked clips.

  The name of the dataset is its configuration's, not the class's, so that
  `tfds.builder(NAME, data_dir=ROOT)` finds it without this code.

  Attributes:
    seen: what the workers saw by split (summary.Summary), once it is built.
  """

  VERSION = tfds.core.Version('1.0.0')

  def __init__(self, *, data_dir: str, config: ClipsConfig):
    self.name = config.name
    super().__init__(
      data_dir=data_dir, config=config, file_format='array_record'
    )

  def _build_data_dir(self, given_data_dir: str) -> tuple[str, str]:
    directory = os.path.join(given_data_dir, self.name, str(self.version))
    return given_data_dir, directory

  def _create_builder_config(self, builder_config, version) -> ClipsConfig:
    # TFDS would print the whole configuration as a warning, as it is not one
    # of a fixed list.
    del version
    return builder_config

  def _log_download_bytes(self) -> None:
    # TFDS would say that it downloads, and to a directory that goes away.
    num_shards = sum(self.builder_config.num_shards.values())
    logging.info('writing %d shards of %s', num_shards, self.name)

  def _log_download_done(self) -> None:
    logging.info('all shards of %s are written', self.name)

  def _info(self) -> tfds.core.DatasetInfo:
    config = self.builder_config
    metadata = dict(config.notes)
    metadata.update(
      schema_version=records.SCHEMA_VERSION,
      spec=self._data_spec().to_dict(),
    )
    if config.clips.num_cut is not None:
      metadata.update(num_cut=config.clips.num_cut)
    return tfds.core.DatasetInfo(
      builder=self,
      description=_DESCRIPTION,
      features=records.features(self._data_spec()),
      # In TFDS's words: the order of the annotation file is kept.
      disable_shuffling=True,
      metadata=tfds.core.MetadataDict(metadata),
    )

  def _data_spec(self) -> DataSpec:
    """The spec of the dataset; workers may have to complete it."""
    config = self.builder_config
    clips, options = config.clips, config.notes.get('options', {})
    max_persons = options.get('max_persons')
    in_frame = max_persons
    if max_persons == _USUALLY_KEPT and not (
      'skeletons' in options or 'max_persons_as_told' in options
    ):
      in_frame = None
    return DataSpec(
      layout=config.layout,
      class_names=config.class_names,
      num_channels=config.spec.num_channels,
      num_persons=clips.num_persons or 0,
      keypoint_dtype=config.spec.keypoint_dtype,
      score_dtype=config.spec.score_dtype,
      normalize=config.normalize,
      project=config.project,
      has_img_shape=bool(clips.has_img_shape) or config.project != 'none',
      max_persons=max_persons,
      max_persons_in_frame=in_frame,
    )

  def _split_generators(self, dl_manager) -> dict[str, list[shards.ShardTask]]:
    """The shards of every split: equal shares of its rows, in order."""
    del dl_manager
    config = self.builder_config
    result = {}
    for split, rows in config.clips.rows.items():
      paths = self._shard_paths(split)
      bounds = [len(rows) * i // len(paths) for i in range(len(paths) + 1)]
      result[split] = [
        shards.ShardTask(
          path=path,
          scratch=config.clips.path,
          start=rows[start],
          stop=rows[stop - 1] + 1,
          layout=config.layout,
          normalize=config.normalize,
          project=config.project,
          table=config.clips.table,
          scratch_spec=config.clips.spec,
          spec=config.spec,
        )
        for path, start, stop in zip(paths, bounds, bounds[1:])
      ]
    return result

  def _generate_examples(self, task: shards.ShardTask):
    """One shard; TFDS asks for this method, the Beam job is below."""
    return shards.write_shard(task)

  def _generate_splits(
    self, dl_manager, download_config
  ) -> Sequence[tfds.core.SplitInfo]:
    tasks = self._split_generators(dl_manager)
    all_tasks = [task for split in tasks.values() for task in split]
    clips = self.builder_config.clips
    written = jobs.run(
      shards.write_shard,
      all_tasks,
      what='writing',
      num_clips={task.path: task.stop - task.start for task in all_tasks},
      options=download_config.beam_options,
      # Beside the scratch file, because every worker can write there.
      results_path=clips.path + '.results.json',
    )
    self.seen = {
      split: summary.add_up([written[task.path] for task in split_tasks])
      for split, split_tasks in tasks.items()
    }
    self._report()
    self._complete_metadata(
      [
        prepared.Shard(task.path, written[task.path]['num_clips'])
        for task in tasks['train']
      ]
    )
    split_infos = []
    for split, split_tasks in tasks.items():
      results = [written[task.path] for task in split_tasks]
      split_infos.append(
        tfds.core.SplitInfo(
          name=split,
          shard_lengths=[result['num_clips'] for result in results],
          num_bytes=sum(result['num_bytes'] for result in results),
          filename_template=self._get_filename_template(split),
        )
      )
    return split_infos

  def _report(self) -> None:
    """Says what turned out only when the clips were read."""
    clips = self.builder_config.clips
    empty = [i for seen in self.seen.values() for i in seen.empty]
    drop_empty = clips.table is None or clips.table.drop_empty
    scratch.report_empty(self.builder_config.name, empty, drop_empty)
    for split, seen in self.seen.items():
      if not seen.num_clips:
        raise errors.UserError(f'No clip is left in the {split} split.')
    if clips.num_cut is None:
      scratch.report_cut(
        sum(seen.num_cut for seen in self.seen.values()),
        sum(seen.num_dropped for seen in self.seen.values()),
        clips.table.max_persons,
      )

  def _complete_metadata(self, shard_files: Sequence[prepared.Shard]) -> None:
    """Adds what only the workers could see."""
    seen = self.seen.values()
    metadata = self.info.metadata
    spec = dataclasses.replace(
      self._data_spec(),
      max_frames=max(s.max_frames for s in seen),
      num_persons=max(s.num_persons for s in seen),
    )
    if self.builder_config.clips.num_persons is None:
      metadata['num_cut'] = sum(s.num_cut for s in seen)
      spec = dataclasses.replace(
        spec, has_img_shape=all(s.has_img_shape for s in seen)
      )
    body_size = _body_size(prepared.ClipSource(shard_files, spec))
    spec = dataclasses.replace(spec, body_size=body_size)
    metadata['spec'] = spec.to_dict()

  def _shard_paths(self, split: str) -> list[str]:
    template = self._get_filename_template(split)
    num_shards = self.builder_config.num_shards[split]
    return [str(path) for path in template.sharded_filepaths(num_shards)]


def _body_size(source: prepared.ClipSource) -> float:
  """The median size of a skeleton in a few clips, in their unit."""
  step = max(1, len(source) // _MEASURED_CLIPS)
  sizes = [
    records.body_size(source[i]['keypoint'])
    for i in range(0, len(source), step)
  ]
  return float(np.median([size for size in sizes if size] or [0.0]))

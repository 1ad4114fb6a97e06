"""The score dumps of mmaction2: scores in annotation order, without ids.

mmaction2 1.x (`test.py --dump`) pickles a list with one dict a sample:
num_classes (int), gt_label (tensor [1]), pred_score (tensor [classes]) and
pred_label (tensor [1]). mmaction2 1.0 put the tensors one level deeper, in
pred_scores and gt_labels; 0.x and pyskl (`--out`) pickle a list of numpy score
vectors. All are read, the first is written.

Nothing in such a file is run: it goes through the restricted unpickler of the
annotation files, and what torch packs inside through torch's own
(weights_only).
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import io
import math
import os
import pickle
import struct
from typing import Any

import numpy as np

from skeljax import atomic_file
from skeljax import errors
from skeljax import score_file
from skeljax.convert import torch_checkpoint
from skeljax.datasets import prepared
from skeljax.readers import safe_pickle

# As mmengine.dump writes; the tensors in it have their own format.
_PROTOCOL = 2
# Probabilities of half precision, averaged over views, sum to 1 that closely.
_SUM_TOLERANCE = 1e-2


@dataclasses.dataclass(frozen=True)
class Source:
  """The samples that a dump is about, in the order of the annotation file.

  Attributes:
    name: for the words of an error, e.g. 'ntu60_xsub_3d, split val'.
    ids: one a sample.
    labels: one a sample, 0-based.
    class_names: one name a label.
  """

  name: str
  ids: tuple[str, ...]
  labels: tuple[int, ...]
  class_names: tuple[str, ...]


def source_of(dataset: prepared.PreparedDataset, split: str) -> Source:
  """The samples of a prepared split."""
  clips = dataset.source(split)
  records = [clips[i] for i in range(len(clips))]
  return Source(
    name=f'{dataset.name}, split {split}',
    ids=tuple(record['id'] for record in records),
    labels=tuple(int(record['label']) for record in records),
    class_names=tuple(dataset.spec.class_names),
  )


def write(path: str | os.PathLike, score_set: score_file.ScoreSet) -> None:
  """Writes a dump as mmaction2 1.x does, in the order of the score set.

  Args:
    path: of the file, replaced whole or not at all.
    score_set: of skeljax.evaluate, whose order is that of the annotation file.

  Raises:
    UserError: torch is not installed.
  """
  torch = torch_checkpoint.import_torch()
  scores = np.asarray(score_set.scores, np.float32)
  samples = [
    {
      'num_classes': len(score_set.class_names),
      'gt_label': torch.tensor([int(label)]),
      # A copy: a row of the whole would bring all of it along.
      'pred_score': torch.from_numpy(row.copy()),
      'pred_label': torch.tensor([int(row.argmax())]),
    }
    for row, label in zip(scores, score_set.labels, strict=True)
  ]
  with (
    atomic_file.replacing(path) as temporary,
    open(temporary, 'wb') as file,
  ):
    pickle.dump(samples, file, protocol=_PROTOCOL)


def read(path: str | os.PathLike, source: Source) -> score_file.ScoreSet:
  """The scores of a dump, with the ids and class names of its samples.

  A dump does not say whether it holds probabilities: they are taken as such
  when no number is negative and every sample's sum is 1.

  Args:
    path: a dump of mmaction2 or pyskl.
    source: the samples that were tested, in annotation order.

  Raises:
    UserError: another kind of file, one that asks to run something, or one
      that is not about these samples; the text says what differs.
  """
  path = os.fspath(path)
  samples = safe_pickle.load(
    path,
    expected='a score dump of mmaction2 or pyskl (.pkl)',
    also_admit=_admitted_names(),
  )
  if not isinstance(samples, list | tuple) or not samples:
    raise errors.UserError(
      f'{path} holds {_kind(samples)}, not a list of samples. Expected what'
      ' mmaction2 writes with test.py --dump (1.x) or --out (0.x, pyskl).'
    )
  if len(samples) != len(source.ids):
    raise errors.UserError(
      f'{path} holds {len(samples)} samples, but there are {len(source.ids)} in'
      f' {source.name}. A dump has no ids, so both must be of the same split of'
      ' the same annotation file.'
    )
  rows, labels = [], []
  for i, (sample, sample_id) in enumerate(zip(samples, source.ids)):
    where = f'{path}: sample {i} ({sample_id})'
    rows.append(_scores_of(sample, where, len(source.class_names)))
    labels.append(_label_of(sample, where))
  _check_labels(path, labels, source)
  scores = np.stack(rows)
  sums = scores.sum(axis=1, dtype=np.float64)
  is_prob = scores.min() >= 0 and np.abs(sums - 1).max() < _SUM_TOLERANCE
  return score_file.ScoreSet(
    ids=source.ids,
    scores=scores,
    labels=np.asarray(source.labels, np.int64),
    class_names=source.class_names,
    average='prob' if is_prob else 'score',
    meta={'dump': os.path.basename(path)},
  )


def _scores_of(sample: Any, where: str, num_classes: int) -> np.ndarray:
  """[classes] float32, checked."""
  scores = sample
  if isinstance(sample, Mapping):
    scores = _field(sample, 'pred_score')
    if scores is None:
      raise errors.UserError(
        f'{where} has no pred_score, only {", ".join(map(str, sample))}. The'
        ' dump is not one of a recognition model.'
      )
  if isinstance(scores, Mapping):
    raise errors.UserError(
      f'{where} has several scores ({", ".join(map(str, scores))}), as models'
      ' with several inputs dump them. Save the one you want as a list of numpy'
      ' vectors.'
    )
  if not isinstance(scores, np.ndarray) or scores.dtype.kind != 'f':
    raise errors.UserError(
      f'{where} has {_kind(scores)} where a vector of scores was expected.'
    )
  if scores.ndim != 1:
    raise errors.UserError(
      f'{where} has scores of shape {list(scores.shape)}, where [classes] was'
      ' expected: its views were not averaged. Test with average_clips="prob".'
    )
  stated = sample.get('num_classes') if isinstance(sample, Mapping) else None
  for count in (len(scores), stated):
    if count is not None and count != num_classes:
      raise errors.UserError(
        f'{where} has {count} classes, but the dataset has {num_classes}: the'
        ' model was trained for another task.'
      )
  with np.errstate(over='ignore'):
    scores = scores.astype(np.float32)
  if not np.isfinite(scores).all():
    raise errors.UserError(
      f'{where} has scores that are not finite: the model diverged.'
    )
  return scores


def _label_of(sample: Any, where: str) -> int | None:
  """The label that the dump states; None for a bare score vector."""
  if not isinstance(sample, Mapping):
    return None
  label = _field(sample, 'gt_label')
  if label is None:
    return None
  label = np.asarray(label)
  if label.size != 1 or label.dtype.kind not in 'iu':
    raise errors.UserError(
      f'{where} has a gt_label of {label.dtype} {list(label.shape)}, where one'
      ' class index was expected; samples of several labels cannot be read.'
    )
  return int(label.reshape(()))


def _field(sample: Mapping, name: str) -> Any:
  """A field of a sample; mmaction2 1.0 wrote it as {'item': ...} and plural."""
  if name in sample:
    return sample[name]
  deeper = sample.get(f'{name}s')
  return deeper.get('item') if isinstance(deeper, Mapping) else None


def _check_labels(
  path: str, labels: Sequence[int | None], source: Source
) -> None:
  wrong = [
    i
    for i, (found, expected) in enumerate(zip(labels, source.labels))
    if found is not None and found != expected
  ]
  if wrong:
    i = wrong[0]
    raise errors.UserError(
      f'{path}: the labels of {len(wrong)} of {len(labels)} samples are not'
      f' those of {source.name}; the first is sample {i} ({source.ids[i]}), with'
      f' {labels[i]} in the dump and {source.labels[i]} in the dataset. A dump'
      ' has no ids, so the scores would be given to the wrong samples: it must'
      ' be of the same split of the same annotation file, in its order.'
    )


def _kind(value: Any) -> str:
  return f'a {type(value).__name__}'


def _admitted_names() -> dict[tuple[str, str], Callable]:
  """What a pickled tensor names, and what stands for it here."""
  return {
    ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
    ('torch.storage', '_load_from_bytes'): _Storage,
  }


class _Storage:
  """The numbers of a tensor that is being read, flat."""

  __slots__ = ('flat',)

  def __init__(self, data):
    torch = torch_checkpoint.import_torch()
    if not isinstance(data, bytes):
      raise pickle.UnpicklingError('a tensor without its bytes')
    try:
      # Never the function that the file names: it would run what is inside.
      storage = torch.load(
        io.BytesIO(data), map_location='cpu', weights_only=True
      )
      # NOTE: a tensor would bring a shape of its own, larger than its memory.
      if not isinstance(storage, torch.storage.TypedStorage):
        raise TypeError('not a storage')
      tensor = torch.tensor([], dtype=storage.dtype).set_(storage)
      if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
      flat = tensor.numpy()
    except (
      # What torch raises for one damaged byte or another.
      ArithmeticError, AssertionError, AttributeError, EOFError, LookupError,
      OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError,
      struct.error,
    ) as error:  # fmt: skip
      raise pickle.UnpicklingError(
        'a tensor that is damaged, or that asks for more than numbers'
      ) from error
    object.__setattr__(self, 'flat', flat)

  def __setattr__(self, name, value):
    raise pickle.UnpicklingError(f'sets attribute {name!r} of a tensor')

  def __setstate__(self, state):
    raise pickle.UnpicklingError('sets the state of a tensor')


def _rebuild_tensor(storage, offset, size, stride, *unused) -> np.ndarray:
  """The array of a tensor, copied from the part of its storage that it has."""
  counts = (size, stride)
  if not isinstance(storage, _Storage) or any(
    type(c) is not tuple or any(type(n) is not int or n < 0 for n in c)
    for c in counts
  ):
    raise pickle.UnpicklingError('a tensor without its parts')
  if type(offset) is not int or offset < 0 or len(size) != len(stride):
    raise pickle.UnpicklingError('a tensor with an impossible place')
  flat = storage.flat
  if not math.prod(size):
    return np.zeros(size, flat.dtype)
  end = offset + sum((n - 1) * s for n, s in zip(size, stride)) + 1
  # The second part is for strides of 0, which could ask for any memory.
  if end > flat.size or math.prod(size) > flat.size:
    raise pickle.UnpicklingError(
      f'a tensor of shape {size} in a storage of {flat.size} numbers'
    )
  view = np.lib.stride_tricks.as_strided(
    flat[offset:], size, [s * flat.itemsize for s in stride], writeable=False
  )
  return view.copy()

"""Score dumps of mmaction2: scores in annotation order, without sample ids.

mmaction2 1.x (`test.py --dump`) pickles a list of one dict per sample:
num_classes (int), gt_label (tensor [1]), pred_score (tensor [classes]) and
pred_label (tensor [1]). mmaction2 1.0 nested the tensors in pred_scores and
gt_labels; 0.x and pyskl (`--out`) pickle a list of NumPy score vectors. All are
read, the first is written.

Nothing in a dump is run: it is read by the restricted unpickler of annotation
files, and tensors inside by torch's own (weights_only).
"""

from collections.abc import Callable, Mapping
import dataclasses
import io
import math
import os
import pickle
from typing import Any

import numpy as np

from skeljax import atomic_file
from skeljax import errors
from skeljax import score_file
from skeljax.convert import torch_file
from skeljax.datasets import prepared
from skeljax.readers import safe_pickle

# As mmengine.dump; tensors have a format of their own.
_PROTOCOL = 2
# Half-precision probabilities, averaged over views, sum to 1 within this.
_SUM_TOLERANCE = 1e-2


@dataclasses.dataclass(frozen=True)
class Source:
  """The samples of a dump, in the order of the annotation file.

  Attributes:
    name: for errors, for example 'ntu60_xsub_3d, split val'.
    ids: one per sample.
    labels: one per sample, 0-based.
    class_names: one per label.
  """

  name: str
  ids: tuple[str, ...]
  labels: tuple[int, ...]
  class_names: tuple[str, ...]


def source_of(dataset: prepared.PreparedDataset, split: str) -> Source:
  """Return the samples of a prepared split."""
  clips = dataset.source(split)
  records = [clips[i] for i in range(len(clips))]
  return Source(
    name=f'{dataset.name}, split {split}',
    ids=tuple(record['id'] for record in records),
    labels=tuple(int(record['label']) for record in records),
    class_names=tuple(dataset.spec.class_names),
  )


def write(path: str | os.PathLike, score_set: score_file.ScoreSet) -> None:
  """Write a dump as mmaction2 1.x does, in the order of the score set.

  Args:
    path: of the file, replaced atomically.
    score_set: of skeljax.evaluate, which has the order of the annotation file.

  Raises:
    UserError: torch is not installed.
  """
  torch = torch_file.import_torch()
  scores = np.asarray(score_set.scores, np.float32)
  samples = [
    {
      'num_classes': len(score_set.class_names),
      'gt_label': torch.tensor([int(label)]),
      # NOTE: pickling a view would store the whole array.
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
  """Return the scores of a dump with the ids and class names of its samples.

  A dump does not specify whether it contains probabilities: assumed if no score
  is negative and every sample sums to 1.

  Args:
    path: a dump of mmaction2 or pyskl.
    source: the tested samples, in annotation order.

  Raises:
    UserError: another kind of file, one that asks to run something, or one of
      other samples.
  """
  path = os.fspath(path)
  samples = safe_pickle.load(
    path,
    expected='a score dump of mmaction2 or pyskl (.pkl)',
    also_admit=_admitted_names(),
  )
  if not isinstance(samples, list | tuple) or not samples:
    raise errors.UserError(
      f'{path} contains a {type(samples).__name__}, not a list of samples as'
      ' written by test.py --dump (mmaction2 1.x) or --out (0.x, pyskl).'
    )
  if len(samples) != len(source.ids):
    raise errors.UserError(
      f'{path} contains {len(samples)} samples, but {source.name} has'
      f' {len(source.ids)}. {_SAME_SPLIT}'
    )
  rows, wrong = [], []
  for i, (sample, sample_id) in enumerate(zip(samples, source.ids)):
    where = f'{path}: sample {i} ({sample_id})'
    rows.append(_scores_of(sample, where, len(source.class_names)))
    label = _label_of(sample, where)
    if label not in (None, source.labels[i]):
      wrong.append((i, label))
  if wrong:
    i, label = wrong[0]
    raise errors.UserError(
      f'{path}: the labels of {len(wrong)} of {len(samples)} samples differ'
      f' from {source.name}; sample {i} ({source.ids[i]}) has {label} in the dump'
      f' and {source.labels[i]} in the dataset. {_SAME_SPLIT}'
    )
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


_SAME_SPLIT = (
  'A dump has no sample ids: it must be of the same split of the same'
  ' annotation file, in its order.'
)


def _scores_of(sample: Any, where: str, num_classes: int) -> np.ndarray:
  """Return the scores of a sample, [classes] float32."""
  scores = sample
  if isinstance(sample, Mapping):
    scores = _field(sample, 'pred_score')
    if scores is None:
      raise errors.UserError(
        f'{where} has no pred_score, only {", ".join(map(str, sample))}.'
      )
  if isinstance(scores, Mapping):
    raise errors.UserError(
      f'{where} has several scores ({", ".join(map(str, scores))}), as of'
      ' models with several inputs. Save one of them as a list of NumPy vectors.'
    )
  if not isinstance(scores, np.ndarray) or scores.dtype.kind != 'f':
    raise errors.UserError(
      f'{where} has a {type(scores).__name__}, expected a vector of scores.'
    )
  if scores.ndim != 1:
    raise errors.UserError(
      f'{where} has scores of shape {list(scores.shape)}, expected [classes].'
      ' Average the views: test with average_clips="prob".'
    )
  stated = sample.get('num_classes') if isinstance(sample, Mapping) else None
  for count in (len(scores), stated):
    if count not in (None, num_classes):
      raise errors.UserError(
        f'{where} has {count} classes, but the dataset has {num_classes}.'
      )
  with np.errstate(over='ignore'):
    scores = scores.astype(np.float32)
  if not np.isfinite(scores).all():
    raise errors.UserError(f'{where} has scores that are not finite.')
  return scores


def _label_of(sample: Any, where: str) -> int | None:
  """Return the label in the dump; None for a bare score vector."""
  label = _field(sample, 'gt_label') if isinstance(sample, Mapping) else None
  if label is None:
    return None
  label = np.asarray(label)
  if label.size != 1 or label.dtype.kind not in 'iu':
    raise errors.UserError(
      f'{where} has a gt_label of {label.dtype} {list(label.shape)}, expected'
      ' one class index; several labels per sample are not supported.'
    )
  return int(label.reshape(()))


def _field(sample: Mapping, name: str) -> Any:
  """Return a field; mmaction2 1.0 has {'item': ...} under the plural name."""
  if name in sample:
    return sample[name]
  nested = sample.get(f'{name}s')
  return nested.get('item') if isinstance(nested, Mapping) else None


def _admitted_names() -> dict[tuple[str, str], Callable]:
  """Return what replaces the names in a pickled tensor."""
  return {
    ('torch._utils', '_rebuild_tensor_v2'): _rebuild_tensor,
    ('torch._utils', '_rebuild_tensor'): _rebuild_tensor,
    ('torch.storage', '_load_from_bytes'): _Storage,
  }


class _Storage:
  """The flat values of a tensor that is being read."""

  flat: np.ndarray

  __slots__ = ('flat',)

  def __init__(self, data):
    torch = torch_file.import_torch()
    if not isinstance(data, bytes):
      raise pickle.UnpicklingError('a tensor without its bytes')
    try:
      # Not the function that the file names, which would run its content.
      storage = torch.load(
        io.BytesIO(data), map_location='cpu', weights_only=True
      )
      # NOTE: the shape of a tensor could exceed its memory.
      if not isinstance(storage, torch.storage.TypedStorage):
        raise TypeError('not a storage')
      tensor = torch.tensor([], dtype=storage.dtype).set_(storage)
      if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
      flat = tensor.numpy()
    except torch_file.DAMAGED as error:
      raise pickle.UnpicklingError(
        'a tensor that is damaged, or contains more than numbers'
      ) from error
    object.__setattr__(self, 'flat', flat)

  def __setattr__(self, name, value):
    raise pickle.UnpicklingError(f'sets attribute {name!r} of a tensor')

  def __setstate__(self, state):
    raise pickle.UnpicklingError('sets the state of a tensor')


def _rebuild_tensor(storage, offset, size, stride, *unused) -> np.ndarray:
  """Return a copy of the part of a storage that a tensor covers."""
  counts = (size, stride)
  if not isinstance(storage, _Storage) or any(
    type(c) is not tuple or any(type(n) is not int or n < 0 for n in c)
    for c in counts
  ):
    raise pickle.UnpicklingError('a tensor without its parts')
  if type(offset) is not int or offset < 0 or len(size) != len(stride):
    raise pickle.UnpicklingError('a tensor with an invalid offset or strides')
  flat = storage.flat
  if not math.prod(size):
    return np.zeros(size, flat.dtype)
  end = offset + sum((n - 1) * s for n, s in zip(size, stride)) + 1
  # The second condition is for strides of 0, which could ask for any memory.
  if end > flat.size or math.prod(size) > flat.size:
    raise pickle.UnpicklingError(
      f'a tensor of shape {size} in a storage of {flat.size} numbers'
    )
  view = np.lib.stride_tricks.as_strided(
    flat[offset:], size, [s * flat.itemsize for s in stride], writeable=False
  )
  return view.copy()

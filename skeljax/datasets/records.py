"""Encoding of a record: one clip of a prepared dataset.

A record is a tf.train.Example, which TFDS can read. It is encoded and decoded
here without TFDS's generic coder: reading is ten times faster, and equal
records are equal bytes (the order of a protobuf map is undefined unless
serialization is deterministic).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from skeljax.datasets.spec import DataSpec

Record = Mapping[str, Any]

# Increment it whenever a field, its dtype or its meaning changes: a dataset with
# another schema version cannot be read.
SCHEMA_VERSION = 3

# Minimum score (exclusive) of points in the box: the default of pyskl's
# PreNormalize2D.
BOX_THRESHOLD = 0.01


def features(spec: DataSpec) -> tfds.features.FeaturesDict:
  """Return the TFDS features of a record, for reading it with TFDS."""
  tensor = tfds.features.Tensor
  result = {
    'id': tfds.features.Text(),
    'position': np.int64,
    'label': tfds.features.ClassLabel(names=list(spec.class_names)),
    'keypoint': tensor(
      shape=(None, None, spec.num_joints, spec.num_channels),
      dtype=np.dtype(spec.keypoint_dtype),
      encoding='bytes',
    ),
    'img_shape': tensor(shape=(2,), dtype=np.int32, encoding='bytes'),
    'total_frames': np.int64,
    'box': tensor(shape=(4,), dtype=np.float32, encoding='bytes'),
  }
  if spec.has_score:
    result['keypoint_score'] = tensor(
      shape=(None, None, spec.num_joints),
      dtype=np.dtype(spec.score_dtype),
      encoding='bytes',
    )
  return tfds.features.FeaturesDict(result)


def encode(record: Record, spec: DataSpec) -> bytes:
  """Encode a record as a serialized tf.train.Example.

  Args:
    record: 'id' str, 'position' and 'label' int, 'keypoint' [M, T, V, C],
      'keypoint_score' [M, T, V] if the dataset has scores, 'img_shape' [2]
      (height, width; zeros if unknown), 'total_frames' int, 'box' [4] (see
      visible_box; zeros for 3D).
    spec: spec of the dataset; arrays are cast to its dtypes.
  """
  example = tf_example_pb2.Example()
  fields = example.features.feature

  def put_array(name, array, dtype):
    array = np.ascontiguousarray(array, dtype=dtype)
    fields[name].bytes_list.value.append(array.tobytes())

  def put_clip_array(name, array, dtype):
    put_array(f'{name}/value', array, dtype)
    fields[f'{name}/shape'].int64_list.value.extend(array.shape)

  fields['id'].bytes_list.value.append(record['id'].encode())
  for name in ('position', 'label', 'total_frames'):
    fields[name].int64_list.value.append(int(record[name]))
  put_clip_array('keypoint', record['keypoint'], spec.keypoint_dtype)
  if spec.has_score:
    put_clip_array('keypoint_score', record['keypoint_score'], spec.score_dtype)
  put_array('img_shape', record['img_shape'], np.int32)
  put_array('box', record['box'], np.float32)
  return example.SerializeToString(deterministic=True)


def decode(data: bytes, spec: DataSpec) -> dict[str, Any]:
  """Decode a record of `encode`; its arrays are read-only views of `data`."""
  fields = tf_example_pb2.Example.FromString(data).features.feature

  def clip_array(name, dtype):
    value = fields[f'{name}/value'].bytes_list.value[0]
    shape = tuple(fields[f'{name}/shape'].int64_list.value)
    return np.frombuffer(value, dtype).reshape(shape)

  record = {
    'id': fields['id'].bytes_list.value[0].decode(),
    'position': fields['position'].int64_list.value[0],
    'label': fields['label'].int64_list.value[0],
    'keypoint': clip_array('keypoint', spec.keypoint_dtype),
    'img_shape': np.frombuffer(
      fields['img_shape'].bytes_list.value[0], np.int32
    ),
    'total_frames': fields['total_frames'].int64_list.value[0],
    'box': np.frombuffer(fields['box'].bytes_list.value[0], np.float32),
  }
  if spec.has_score:
    record['keypoint_score'] = clip_array('keypoint_score', spec.score_dtype)
  return record


def visible_box(keypoint: np.ndarray, score: np.ndarray | None) -> np.ndarray:
  """Return the bounding box that pyskl's automatic 2D normalization uses.

  Args:
    keypoint: [M, T, V, 2], pixels; all persons and all frames of the clip.
    score: [M, T, V]; only points whose score, in float32, exceeds BOX_THRESHOLD
      are in the box. None: all points are, as published, also missing points,
      which are zero.

  Returns:
    [4] float32: x_min, y_min, x_max, y_max; zeros without any point.

  Source: pyskl's PreNormalize2D(mode='auto', threshold=0.01).
  """
  points = keypoint.reshape(-1, 2).astype(np.float32)
  if score is not None:
    # NOTE: in float32, where 0.01 is less than its nearest float16.
    is_visible = score.astype(np.float32) > np.float32(BOX_THRESHOLD)
    points = points[is_visible.reshape(-1)]
  if not len(points):
    return np.zeros(4, np.float32)
  return np.concatenate([points.min(axis=0), points.max(axis=0)])


def body_size(keypoint: np.ndarray) -> float:
  """Return the size of the skeletons of a clip, independent of rotation.

  Args:
    keypoint: [M, T, V, C]; a joint that is zero in all coordinates is missing.

  Returns:
    Root mean square distance of the joints from their centroid, median over
    persons and frames with at least two joints, in the unit of the keypoints;
    0.0 without such frames.
  """
  points = keypoint.astype(np.float64).reshape(-1, *keypoint.shape[2:])
  count = np.sum(points.any(axis=-1), axis=-1)  # [M*T]
  points, count = points[count > 1], count[count > 1]
  if not len(count):
    return 0.0
  is_present = np.any(points, axis=-1, keepdims=True)
  # Missing joints are zero, so they do not add to the sum.
  centroid = points.sum(axis=1) / count[:, None]
  offset = np.where(is_present, points - centroid[:, None], 0)
  return float(np.median(np.sqrt((offset**2).sum(axis=(1, 2)) / count)))

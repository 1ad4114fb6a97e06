"""Read the files with the keypoints that compressed annotations leave out.

mmaction2 1.x has one pickle per clip, `DIR/<id>.pkl`, a dict with 'keypoint'
[S, V, 3]. pyskl has bundles, each a dict from id to such dicts; 'raw_file' of the
annotation is the name of its bundle.
"""

from collections.abc import Mapping
import functools
import os
from typing import Any

from skeljax import errors
from skeljax.readers import raw_dataset
from skeljax.readers import safe_pickle


def keypoints_of(directory: str, clip: raw_dataset.Clip) -> raw_dataset.Clip:
  """Return a clip that reads the keypoint pickle of a compressed clip."""
  path = skeleton_file(directory, clip.id, clip.read())
  read = functools.partial(load_skeletons, path)
  return raw_dataset.Clip(clip.id, clip.label, path, read)


def skeleton_file(
  directory: str, sample_id: str, item: raw_dataset.Item
) -> str:
  """Return the path of a clip's own file, or of its bundle.

  Only the base name of 'raw_file' is used; its folders are those of the machine
  where the annotations were written.

  Raises:
    UserError: the id or 'raw_file' cannot be used as a file name.
  """
  raw_file = item.get('raw_file')
  if raw_file is not None:
    name = os.path.basename(raw_file) if isinstance(raw_file, str) else ''
    if not name:
      raise errors.UserError(
        f"Sample {sample_id!r}: 'raw_file' is {raw_file!r}. Expected the name"
        ' of the file with its keypoints.'
      )
    return os.path.join(directory, name)
  parts = sample_id.replace('\\', '/').split('/')
  if os.path.isabs(sample_id) or '..' in parts or '\0' in sample_id:
    raise errors.UserError(
      f'Sample {sample_id!r}: {directory}/{sample_id}.pkl is outside of the'
      ' directory of keypoints. Rename the sample.'
    )
  return os.path.join(directory, f'{sample_id}.pkl')


def load_skeletons(path: str) -> dict[str, Any]:
  """Load the dict of one clip, or of a bundle, from a pickle.

  Raises:
    UserError: the file is missing, or is not such a pickle.
  """
  if not os.path.isfile(path):
    raise errors.UserError(
      f'There is no file {path} with the keypoints of compressed annotations.'
      ' Give --skeletons=DIR with the files that belong to the annotations, or'
      ' remove the clip from the splits.'
    )
  root = safe_pickle.load(path, expected='a pickle of keypoints')
  if not isinstance(root, dict):
    raise errors.UserError(
      f"{path} contains a {type(root).__name__}. Expected a dict with 'keypoint'"
      ' [skeletons, joints, 3], or one from id to such dicts.'
    )
  return root


def clip_of_bundle(
  root: Mapping[str, Any], sample_id: str, path: str
) -> dict[str, Any]:
  """Return the dict of one clip in a bundle; UserError if it is missing."""
  clip = root.get(sample_id)
  if not isinstance(clip, dict):
    found = 'missing' if clip is None else f'a {type(clip).__name__}'
    raise errors.UserError(
      f'{path}, sample {sample_id!r}: the clip is {found}. Expected a dict with'
      " 'keypoint' [skeletons, joints, 3], because 'raw_file' of the annotation"
      ' is this file.'
    )
  return clip

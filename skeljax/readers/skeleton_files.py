"""Files that hold the keypoints which compressed annotations leave out.

mmaction2 1.x has one pickle a clip, `DIR/<id>.pkl`, a dict with 'keypoint'
[S, V, 3]. pyskl bundles many clips in a file, a dict from id to such dicts;
the annotation's 'raw_file' says which bundle.
"""

from collections.abc import Mapping
import functools
import os
from typing import Any

from skeljax import errors
from skeljax.readers import raw_dataset
from skeljax.readers import safe_pickle


def skeleton_file(
  directory: str, sample_id: str, item: Mapping[str, Any]
) -> str:
  """The file that holds the keypoints of a clip: its own, or a bundle.

  Bundles are looked for by the last part of 'raw_file', whose folders are
  those of whoever made the annotations.

  Raises:
    UserError: the id would lead out of the directory.
  """
  raw_file = item.get('raw_file')
  if raw_file is not None:
    name = os.path.basename(raw_file) if isinstance(raw_file, str) else ''
    if not name:
      raise errors.UserError(
        f"Sample {sample_id!r}: 'raw_file' is {raw_file!r}. Expected the name"
        ' of the file that holds its keypoints.'
      )
    return os.path.join(directory, name)
  parts = sample_id.replace('\\', '/').split('/')
  if os.path.isabs(sample_id) or '..' in parts or '\0' in sample_id:
    raise errors.UserError(
      f'Sample {sample_id!r}: its keypoints are looked for in'
      f' {directory}/{sample_id}.pkl, and this id leads out of the directory.'
      ' Rename the sample.'
    )
  return os.path.join(directory, f'{sample_id}.pkl')


def load_skeletons(path: str) -> dict[str, Any]:
  """What a file of skeletons holds: a dict, of one clip or from id to clip.

  Raises:
    UserError: no such file, or not such a pickle.
  """
  if not os.path.isfile(path):
    raise errors.UserError(
      f'There is no file {path}, which should hold keypoints that the'
      ' annotations leave out. Give --skeletons=DIR with the files that belong'
      ' to them, or take the clip out of the splits.'
    )
  root = safe_pickle.load(path, expected='a pickle of keypoints')
  if not isinstance(root, dict):
    raise errors.UserError(
      f"{path} holds a {type(root).__name__}. Expected a dict with 'keypoint'"
      ' [skeletons, joints, 3], or one from id to such dicts.'
    )
  return root


def clip_of_bundle(
  root: Mapping[str, Any], sample_id: str, path: str
) -> dict[str, Any]:
  """The dict of one clip in a bundle."""
  clip = root.get(sample_id)
  if not isinstance(clip, dict):
    found = (
      'is not in it' if clip is None else f'is of type {type(clip).__name__}'
    )
    raise errors.UserError(
      f'{path}, sample {sample_id!r}: the clip {found}. Expected a dict from id'
      " to a dict with 'keypoint' [skeletons, joints, 3]; the annotations say"
      " that this file holds the clip ('raw_file')."
    )
  return clip


def keypoints_of(directory: str, clip: raw_dataset.Clip) -> raw_dataset.Clip:
  """The keypoints of a compressed clip that has a pickle of its own."""
  path = skeleton_file(directory, clip.id, clip.read())
  read = functools.partial(load_skeletons, path)
  return raw_dataset.Clip(clip.id, clip.label, path, read)

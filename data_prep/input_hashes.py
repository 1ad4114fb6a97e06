"""Hashes of input files and folders, independent of their paths."""

from collections.abc import Sequence
import hashlib
import os
import pathlib

from skeljax import errors


def file_hash(path: str) -> str:
  """Return the sha256 of the content of a file."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def listing_hash(
  directory: str, suffix: str, left_out: Sequence[str] = ()
) -> str:
  """Return a hash of the names, sizes and modification times of files.

  Hashing the content would take as long as preparing the dataset: published
  folders have tens of gigabytes in hundreds of thousands of files. Files of
  the same size are common, hence the times; a copy without them counts as
  other files. Hidden files are ignored.

  Args:
    directory: searched recursively.
    suffix: of the file names to include.
    left_out: files and folders to exclude.

  Returns:
    '' if there are no such files.

  Raises:
    UserError: a file cannot be read.
  """
  root = pathlib.Path(directory)
  excluded = {os.path.abspath(path) for path in left_out}

  def is_included(parent, name):
    path = os.path.abspath(os.path.join(parent, name))
    return not name.startswith('.') and path not in excluded

  lines = []
  for parent, folders, names in os.walk(root, followlinks=True):
    folders[:] = [name for name in folders if is_included(parent, name)]
    for name in names:
      if not name.endswith(suffix) or not is_included(parent, name):
        continue
      path = pathlib.Path(parent, name)
      try:
        stat = path.stat()
      except OSError as error:
        raise errors.UserError(
          f'{path} cannot be read: {error}. Fix or remove it.'
        ) from error
      name = path.relative_to(root).as_posix()
      lines.append(f'{name}\t{stat.st_size}\t{stat.st_mtime_ns}\n')
  if not lines:
    return ''
  text = ''.join(sorted(lines))
  return hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()

"""What tells one input from another, whatever it is called."""

from collections.abc import Sequence
import hashlib
import os
import pathlib

from skeljax import errors

_BLOCK = 1 << 20


def file_hash(path: str) -> str:
  """A hash of what a file holds."""
  digest = hashlib.sha256()
  with open(path, 'rb') as file:
    while block := file.read(_BLOCK):
      digest.update(block)
  return digest.hexdigest()


def listing_hash(
  directory: str, ending: str, left_out: Sequence[str] = ()
) -> str:
  """A hash of the names, sizes and times of change of files; '' of none.

  Reading them to hash what they hold would take as long as preparing them: the
  published ones are tens of gigabytes in hundreds of thousands of files. Two
  files of the same size are common, as the size often depends on the number of
  skeletons only, so the times count as well; a copy that does not keep them is
  taken for other files. Hidden files do not count.

  Args:
    directory: with all that is below it.
    ending: of the names of the files that count.
    left_out: files and folders that do not count.

  Raises:
    UserError: a file cannot be read.
  """
  root = pathlib.Path(directory)
  absent = {os.path.abspath(path) for path in left_out}
  lines = []
  for parent, folders, names in os.walk(root, followlinks=True):
    folders[:] = [
      name
      for name in folders
      if not name.startswith('.')
      and os.path.abspath(os.path.join(parent, name)) not in absent
    ]
    for name in names:
      path = os.path.join(parent, name)
      if name.startswith('.') or not name.endswith(ending):
        continue
      if os.path.abspath(path) in absent:
        continue
      try:
        seen = os.stat(path)
      except OSError as error:
        raise errors.UserError(
          f'{path} cannot be read: {error}. Mend it, or take it out of the'
          ' folder.'
        ) from error
      name = pathlib.Path(path).relative_to(root).as_posix()
      lines.append(f'{name}\t{seen.st_size}\t{seen.st_mtime_ns}\n')
  if not lines:
    return ''
  text = ''.join(sorted(lines))
  return hashlib.sha256(text.encode(errors='surrogateescape')).hexdigest()

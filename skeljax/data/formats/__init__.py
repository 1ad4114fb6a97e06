"""Reading annotation files, and checking what they hold.

The reader of a format returns an `Annotations`; `check_item` turns one of its
items into the parts of a record or says what is wrong with it.
"""

from skeljax.data.formats.annotations import Annotations
from skeljax.data.formats.annotations import find_protocol
from skeljax.data.formats.annotations import protocol_splits
from skeljax.data.formats.annotations import protocols
from skeljax.data.formats.clips import ClipError
from skeljax.data.formats.clips import check_item
from skeljax.data.formats.persons import select_persons
from skeljax.data.formats.pickles import read_annotations

__all__ = (
  'Annotations',
  'ClipError',
  'check_item',
  'find_protocol',
  'protocol_splits',
  'protocols',
  'read_annotations',
  'select_persons',
)

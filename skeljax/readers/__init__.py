"""Reading annotation files, and checking what they hold.

The reader of a format returns an `Annotations`; `check_item` turns one of its
items into the parts of a record or says what is wrong with it.
"""

from skeljax.readers.annotations import Annotations
from skeljax.readers.annotations import find_protocol
from skeljax.readers.annotations import protocol_splits
from skeljax.readers.annotations import protocols
from skeljax.readers.clips import ClipError
from skeljax.readers.clips import check_item
from skeljax.readers.persons import select_persons
from skeljax.readers.pickles import read_annotations
from skeljax.readers.raw_dataset import Clip
from skeljax.readers.raw_dataset import Item
from skeljax.readers.raw_dataset import RawDataset

__all__ = (
  'Annotations',
  'Clip',
  'ClipError',
  'Item',
  'RawDataset',
  'check_item',
  'find_protocol',
  'protocol_splits',
  'protocols',
  'read_annotations',
  'select_persons',
)

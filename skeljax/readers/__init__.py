"""Readers of skeleton datasets and clips; raw_dataset.py documents the interface.

Datasets: annotation_pickle (mmaction2, pyskl), ntu_skeleton (NTU RGB+D),
kinetics_skeleton, stgcn_npy (ST-GCN, 2s-AGCN, BABEL), ctrgcn_npz, ucla_json
(Northwestern-UCLA). Single clips: clip_formats, which includes the pose tools.
`checks.check_clip` validates a clip.
"""

from skeljax.readers.checks import ClipError
from skeljax.readers.checks import check_clip
from skeljax.readers.persons import select_persons
from skeljax.readers.raw_dataset import Clip
from skeljax.readers.raw_dataset import Item
from skeljax.readers.raw_dataset import RawDataset
from skeljax.readers.raw_dataset import duplicates
from skeljax.readers.raw_dataset import find_protocol
from skeljax.readers.raw_dataset import first_few
from skeljax.readers.raw_dataset import protocol_splits
from skeljax.readers.raw_dataset import protocols
from skeljax.readers.raw_dataset import split_paths

__all__ = (
  'Clip',
  'ClipError',
  'Item',
  'RawDataset',
  'check_clip',
  'duplicates',
  'find_protocol',
  'first_few',
  'protocol_splits',
  'protocols',
  'select_persons',
  'split_paths',
)

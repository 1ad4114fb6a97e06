"""Validate the item of a clip, without a reader."""

from skeljax import readers


def check(item, path='x', sample_id=None, **options):
  """Return the record of an item; see readers.check_clip."""
  clip = readers.Clip(
    id=sample_id or str(item.get('frame_dir')),
    label=item.get('label'),
    path=str(path),
    read=lambda: item,
  )
  return readers.check_clip(clip, **options)

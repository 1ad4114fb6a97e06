"""What the test pipeline of a published PoseC3D makes of a clip.

Out of the parsed text of its configuration, see published_config.py. Arguments
that are left out have the defaults of the published classes.
"""

from collections.abc import Mapping, Sequence
import dataclasses
from typing import Any

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import published_config

Pipeline = Sequence[Mapping[str, Any]]

_READ = published_config.READ
# As published_config.TRANSFORMS. Ours decompresses when it prepares a dataset.
_TRANSFORMS = {
  'DecompressPose': {'type': _READ, 'squeeze': True, 'max_person': 10},
  'UniformSampleFrames': published_config.SAMPLING,
  'UniformSample': published_config.SAMPLING,
  'PoseDecode': {'type': _READ},
  'PoseCompact': {
    'type': _READ, 'padding': _READ, 'threshold': _READ, 'hw_ratio': _READ,
    'allow_imgpad': _READ,
  },
  'Resize': {
    'type': _READ, 'scale': _READ, 'keep_ratio': _READ, 'lazy': False,
    'interpolation': _READ,
  },
  'CenterCrop': {'type': _READ, 'crop_size': _READ, 'lazy': False},
  # Without a chance to flip it changes nothing.
  'Flip': {
    'type': _READ, 'flip_ratio': 0, 'left_kp': _READ, 'right_kp': _READ,
  },
  'GeneratePoseTarget': {
    'type': _READ, 'sigma': _READ, 'use_score': _READ, 'with_kp': _READ,
    'with_limb': _READ, 'skeletons': _READ, 'double': _READ, 'left_kp': _READ,
    'right_kp': _READ, 'left_limb': _READ, 'right_limb': _READ,
    'scaling': _READ,
  },
  'FormatShape': {'type': _READ, 'input_format': _READ, 'collapse': False},
  **{
    name: published_config.TRANSFORMS[name]
    for name in ('Collect', 'ToTensor', 'PackActionInputs')
  },
}  # fmt: skip
# What is done when.
_ORDER = (
  'UniformSampleFrames', 'PoseDecode', 'PoseCompact', 'Resize', 'CenterCrop',
  'GeneratePoseTarget', 'FormatShape',
)  # fmt: skip
_OPTIONAL = ('PoseDecode', 'CenterCrop', 'FormatShape')
# Of GeneratePoseTarget; the limbs are in another order than the published
# configurations have them.
_DEFAULTS = {
  'skeletons': [
    [0, 1], [0, 2], [1, 3], [2, 4], [0, 5], [5, 7], [7, 9], [0, 6], [6, 8],
    [8, 10], [5, 11], [11, 13], [13, 15], [6, 12], [12, 14], [14, 16], [11, 12],
  ],
  'left_kp': [1, 3, 5, 7, 9, 11, 13, 15],
  'right_kp': [2, 4, 6, 8, 10, 12, 14, 16],
  'left_limb': [0, 2, 4, 5, 6, 10, 11, 12],
  'right_limb': [1, 3, 7, 8, 9, 13, 14, 15],
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Volumes:
  """What a test pipeline makes of a clip.

  Attributes:
    data: fields of that section.
    features: fields of inputs.Heatmaps.
    mirrored: whether each view is scored with its mirror image.
    limbs: joint pairs of the channels; () where they are joints.
    left_right: joints that the mirror exchanges; None where there is none.
    left_right_limbs: the same of limbs.
  """

  data: Mapping[str, Any]
  features: Mapping[str, Any]
  mirrored: bool
  limbs: skeletons.Pairs
  left_right: skeletons.Pairs | None
  left_right_limbs: skeletons.Pairs | None

  def fit(self, layout: skeletons.Layout, source: str) -> skeletons.Layout:
    """The layout with the limbs of the pipeline.

    Raises:
      UserError: its mirror exchanges others.
    """
    if self.limbs and max(map(max, self.limbs)) >= layout.num_joints:
      raise errors.UserError(
        f'{source}: its configuration draws limbs up to joint'
        f' {max(map(max, self.limbs))}, and layout {layout.name!r} has'
        f' {layout.num_joints} joints. Give its layout: --layout=FILE.json.'
      )
    if self.limbs and self.limbs != layout.limbs:
      layout = dataclasses.replace(layout, limbs=self.limbs)
    for what, pairs, own in (
      ('joints', self.left_right, layout.flip_index),
      ('limbs', self.left_right_limbs, layout.limb_flip_index),
    ):
      if pairs is not None and _exchange(pairs, len(own)) != own:
        raise errors.UserError(
          f'{source}: its configuration mirrors other {what} than layout'
          f' {layout.name!r}. Give the layout that it was trained with:'
          ' --layout=FILE.json.'
        )
    return layout


def _exchange(pairs: skeletons.Pairs, count: int) -> tuple[int, ...] | None:
  """The permutation that exchanges pairs; None if there are too few indices."""
  order = list(range(count))
  for left, right in pairs:
    if not (0 <= left < count and 0 <= right < count):
      return None
    order[left], order[right] = right, left
  return tuple(order)


def code_base(pipeline: Pipeline) -> str:
  """Whose test pipeline it is, one of tensors.NAMINGS; '' if not told."""
  kinds = {transform['type'] for transform in pipeline if _is_named(transform)}
  if 'PackActionInputs' in kinds:
    return 'mmaction1x'
  if 'Collect' not in kinds:
    return ''
  return 'mmaction0x' if _has_channels_last(pipeline) else 'pyskl'


def _is_named(transform: Mapping[str, Any]) -> bool:
  return isinstance(transform.get('type'), str)


def _has_channels_last(pipeline: Pipeline) -> bool:
  """Whether heatmaps had their channels last, as before they were mirrored.

  That is how 0.x and the first candidate of 1.x mirror keypoints, not volumes.
  """
  return any(
    t['type'] == 'FormatShape' and t.get('input_format') == 'NCTHW'
    for t in pipeline
  )


def preprocessing(pipeline: Pipeline, naming: str) -> Volumes:
  """What a test pipeline says, in our words.

  Args:
    pipeline: of published_config.test_pipeline.
    naming: whose transforms it names.

  Raises:
    UserError: a transform or an argument that skeljax has not.
  """
  data: dict[str, Any] = {}
  found: dict[str, Mapping[str, Any]] = {}
  for transform in pipeline:
    published_config.check_arguments(transform, _TRANSFORMS)
    kind = transform['type']
    if kind == 'UniformSample':
      kind = 'UniformSampleFrames'  # Of pyskl both are one.
    if kind in found:
      raise errors.UserError(
        f'The configuration that the checkpoint was trained with has {kind}'
        ' twice in its test_pipeline; skeljax does it once. Give another one by'
        ' --config=FILE of skeljax.convert.'
      )
    found[kind] = transform
    if kind == 'UniformSampleFrames':
      data['frames'] = 'uniform_pyskl' if naming == 'pyskl' else 'uniform'
      data['clip_len'] = published_config.count(transform, 'clip_len', 48)
      data['num_clips'] = published_config.count(transform, 'num_clips', 1)
  _check_order(list(found))
  target = found['GeneratePoseTarget']
  is_flipped_first = naming == 'mmaction0x' or _has_channels_last(pipeline)
  features = {
    **_compact(found['PoseCompact']),
    **_resize(found['Resize'], found.get('CenterCrop')),
    **_target(target),
    'min_score': 1e-3 if naming == 'pyskl' else 1e-4,
    'mirror': '0x' if is_flipped_first else '1x',
  }
  has_limbs = features['heatmap'] == 'limb'
  is_mirrored = bool(target.get('double', False))
  pairs_of = _pairs(target, 'left_kp', 'right_kp')
  return Volumes(
    data=data,
    features=features,
    mirrored=is_mirrored,
    limbs=_limbs(target) if has_limbs else (),
    # 0.x mirrors joints, later ones the channels, whatever these are.
    left_right=pairs_of
    if is_mirrored and (is_flipped_first or not has_limbs)
    else None,
    left_right_limbs=_pairs(target, 'left_limb', 'right_limb')
    if is_mirrored and has_limbs and not is_flipped_first
    else None,
  )


def _check_order(kinds: Sequence[str]) -> None:
  """Raises UserError for a part that is missing or not in its place."""
  for name in _ORDER:
    if name not in kinds and name not in _OPTIONAL:
      raise errors.UserError(
        f'The configuration that the checkpoint was trained with has no'
        f' {name} in its test_pipeline, which skeljax does for PoseC3D. Give'
        ' another one by --config=FILE of skeljax.convert.'
      )
  places = [kinds.index(name) for name in _ORDER if name in kinds]
  if places != sorted(places):
    raise errors.UserError(
      'The configuration that the checkpoint was trained with has the transforms'
      f' of its test_pipeline in the order {", ".join(kinds)}; skeljax does'
      f' {", ".join(_ORDER)}. Give another one by'
      ' --config=FILE of skeljax.convert.'
    )


def _compact(transform: Mapping[str, Any]) -> dict[str, Any]:
  ratio = transform.get('hw_ratio')
  if isinstance(ratio, (int, float)):
    ratio = (ratio, ratio)
  elif ratio is None:
    ratio = ()
  elif not _is_pair(ratio) or not all(
    isinstance(r, (int, float)) for r in ratio
  ):
    raise published_config.unknown_argument(
      transform, 'hw_ratio', 'a number, two or None'
    )
  return {
    'compact_padding': _number(transform, 'padding', 0.25),
    'compact_threshold': _number(transform, 'threshold', 10),
    'compact_hw_ratio': tuple(map(float, ratio)),
    'allow_imgpad': _flag(transform, 'allow_imgpad', True),
  }


def _resize(
  resize: Mapping[str, Any], crop: Mapping[str, Any] | None
) -> dict[str, Any]:
  """Size of the pictures that heatmaps are drawn on, and how they get it."""
  scale = resize.get('scale')
  size = crop.get('crop_size') if crop else None
  if _is_pair(size) and size[0] == size[1]:
    size = size[0]
  if not _is_pair(scale) or not all(isinstance(s, int) for s in scale):
    raise published_config.unknown_argument(
      resize, 'scale', 'two whole numbers'
    )
  if _flag(resize, 'keep_ratio', True):
    if min(scale) != -1 or max(scale) < 1:
      raise published_config.unknown_argument(
        resize, 'scale', '(-1, SIZE) where the ratio is kept'
      )
    if crop is None or size != max(scale):
      raise errors.UserError(
        'The configuration that the checkpoint was trained with resizes to a'
        f' short side of {max(scale)} in its test_pipeline, where skeljax'
        f' expects CenterCrop(crop_size={max(scale)}) after it. Give another'
        ' one by --config=FILE of skeljax.convert.'
      )
    return {'test_size': max(scale), 'resize': 'short_side'}
  if scale[0] != scale[1] or scale[0] < 1:
    raise published_config.unknown_argument(resize, 'scale', 'a square')
  if crop is not None and size != scale[0]:
    raise published_config.unknown_argument(crop, 'crop_size', repr(scale[0]))
  return {'test_size': scale[0], 'resize': 'stretch'}


def _target(transform: Mapping[str, Any]) -> dict[str, Any]:
  with_joints = _flag(transform, 'with_kp', True)
  with_limbs = _flag(transform, 'with_limb', False)
  if with_joints == with_limbs:
    # Both at once draw limbs over joints there.
    raise published_config.unknown_argument(
      transform, 'with_kp', f'{not with_limbs}, one of with_kp and with_limb'
    )
  return {
    'heatmap': 'keypoint' if with_joints else 'limb',
    'sigma': _number(transform, 'sigma', 0.6),
    'use_score': _flag(transform, 'use_score', True),
    'scaling': _number(transform, 'scaling', 1.0),
  }


def _limbs(transform: Mapping[str, Any]) -> skeletons.Pairs:
  limbs = transform.get('skeletons', _DEFAULTS['skeletons'])
  if (
    not isinstance(limbs, list)
    or not limbs
    or not all(_is_pair(limb) and _are_indices(limb) for limb in limbs)
  ):
    raise published_config.unknown_argument(
      transform, 'skeletons', 'a list of pairs of joints'
    )
  return tuple((a, b) for a, b in limbs)


def _pairs(
  transform: Mapping[str, Any], left_name: str, right_name: str
) -> skeletons.Pairs:
  found = []
  for name in (left_name, right_name):
    indices = transform.get(name, _DEFAULTS[name])
    if not isinstance(indices, list) or not _are_indices(indices):
      raise published_config.unknown_argument(transform, name, 'indices')
    found.append(indices)
  if len(found[0]) != len(found[1]):
    raise published_config.unknown_argument(
      transform, right_name, f'as many as {left_name}'
    )
  return tuple(zip(*found))


def _is_pair(value: Any) -> bool:
  return isinstance(value, list) and len(value) == 2


def _are_indices(values: Sequence[Any]) -> bool:
  return all(type(value) is int and value >= 0 for value in values)


def _flag(transform: Mapping[str, Any], name: str, default: bool) -> bool:
  value = transform.get(name, default)
  if not isinstance(value, bool):
    raise published_config.unknown_argument(transform, name, 'True or False')
  return value


def _number(transform: Mapping[str, Any], name: str, default: float) -> float:
  value = transform.get(name, default)
  if isinstance(value, bool) or not isinstance(value, (int, float)):
    raise published_config.unknown_argument(transform, name, 'a number')
  return float(value)

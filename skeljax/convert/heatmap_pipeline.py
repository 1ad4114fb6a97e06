"""Translate test pipelines of PoseC3D to config fields."""

from collections.abc import Callable, Mapping
import dataclasses
import functools
from typing import Any

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import published_config as published


def _is_pair(is_valid: Callable[[Any], bool], value: Any) -> bool:
  return published.is_list_of(is_valid, value) and len(value) == 2


def _is_ratio(value: Any) -> bool:
  return (
    value is None
    or published.is_number(value)
    or _is_pair(published.is_number, value)
  )


def _is_limbs(value: Any) -> bool:
  is_limb = functools.partial(_is_pair, published.is_index)
  return published.is_list_of(is_limb, value) and bool(value)


_TRANSFORMS: Mapping[str, Mapping[str, Any]] = {
  **published.COMMON_TRANSFORMS,
  # data_prep decompresses when it prepares a dataset.
  'DecompressPose': {'squeeze': True, 'max_person': 10},
  'PoseCompact': {
    'padding': published.NUMBER, 'threshold': published.NUMBER,
    'allow_imgpad': published.FLAG,
    'hw_ratio': published.Check('a number, two or None', _is_ratio),
  },
  'Resize': {
    'scale': published.ANY, 'keep_ratio': published.FLAG, 'lazy': False,
    'interpolation': published.ANY,
  },
  'CenterCrop': {'crop_size': published.ANY, 'lazy': False},
  'Flip': {
    'flip_ratio': 0, 'left_kp': published.ANY, 'right_kp': published.ANY,
  },
  'GeneratePoseTarget': {
    'skeletons': published.Check('a list of pairs of joints', _is_limbs),
    **dict.fromkeys(('sigma', 'scaling'), published.NUMBER),
    **dict.fromkeys(
      ('use_score', 'with_kp', 'with_limb', 'double'), published.FLAG
    ),
    **dict.fromkeys(
      ('left_kp', 'right_kp', 'left_limb', 'right_limb'), published.INDICES
    ),
  },
  'FormatShape': {'input_format': published.ANY, 'collapse': False},
}  # fmt: skip
# The only order in which heatmaps are made.
_ORDER = (
  'UniformSampleFrames', 'PoseDecode', 'PoseCompact', 'Resize', 'CenterCrop',
  'GeneratePoseTarget', 'FormatShape',
)  # fmt: skip
_OPTIONAL = ('PoseDecode', 'CenterCrop', 'FormatShape')
# Defaults of GeneratePoseTarget. Published configs list limbs in another order.
_TARGET: dict[str, Any] = {
  'skeletons': [
    [0, 1], [0, 2], [1, 3], [2, 4], [0, 5], [5, 7], [7, 9], [0, 6], [6, 8],
    [8, 10], [5, 11], [11, 13], [13, 15], [6, 12], [12, 14], [14, 16], [11, 12],
  ],
  'left_kp': [1, 3, 5, 7, 9, 11, 13, 15],
  'right_kp': [2, 4, 6, 8, 10, 12, 14, 16],
  'left_limb': [0, 2, 4, 5, 6, 10, 11, 12],
  'right_limb': [1, 3, 7, 8, 9, 13, 14, 15],
  'with_kp': True, 'with_limb': False, 'double': False, 'sigma': 0.6,
  'use_score': True, 'scaling': 1.0,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Translated:
  """A published test pipeline as config fields.

  Attributes:
    data: fields of config.data.
    input: fields of config.input.
    mirrored: whether flipped views are added.
    limbs: joint pairs of the channels; () if channels are joints.
    left_right: joints that a flip swaps; None without a flip of joints.
    left_right_limbs: the same for limbs.
  """

  data: Mapping[str, Any]
  input: Mapping[str, Any]
  mirrored: bool
  limbs: skeletons.Pairs
  left_right: skeletons.Pairs | None
  left_right_limbs: skeletons.Pairs | None

  def fit(
    self, layout: skeletons.Layout, num_channels: int, source: str
  ) -> skeletons.Layout:
    """Return the layout with the limbs of the pipeline.

    Raises:
      UserError: it does not fit the channels, or the flip of the layout.
    """
    problem, largest = '', max(map(max, self.limbs), default=0)
    if self.limbs and len(self.limbs) != num_channels:
      raise errors.UserError(
        f'{source} takes {num_channels} limbs, but its config draws'
        f' {len(self.limbs)}. Give the config it was trained with:'
        ' --config=FILE.'
      )
    if largest >= layout.num_joints:
      problem = f'draws limbs up to joint {largest}'
    elif self.limbs and self.limbs != layout.limbs:
      layout = dataclasses.replace(layout, limbs=self.limbs)
    if not problem:
      for what, pairs, expected in (
        ('joints', self.left_right, layout.flip_index),
        ('limbs', self.left_right_limbs, layout.limb_flip_index),
      ):
        if pairs is not None and _permutation(pairs, len(expected)) != expected:
          problem = f'swaps other {what} in flips'
    if problem:
      raise errors.UserError(
        f'{source}: its config {problem}, which does not fit layout'
        f' {layout.name!r} ({layout.num_joints} joints). Give the layout it was'
        ' trained with: --layout=FILE.json.'
      )
    return layout


def _permutation(pairs: skeletons.Pairs, count: int) -> tuple[int, ...] | None:
  """Return the permutation that swaps pairs; None if an index is too large."""
  order = list(range(count))
  for left, right in pairs:
    if max(left, right) >= count:
      return None
    order[left], order[right] = right, left
  return tuple(order)


def translate(pipeline: published.Pipeline, code_base: str) -> Translated:
  """Translate a published test pipeline.

  Raises:
    UserError: a transform, argument or order that skeljax does not have.
  """
  found = _find_transforms(pipeline)
  target = _TARGET | found['GeneratePoseTarget']
  flips_first = code_base == 'mmaction0x' or flips_joints(pipeline)
  if target['with_kp'] == target['with_limb']:
    # With both, GeneratePoseTarget draws limbs over joints.
    raise published.unsupported(
      'GeneratePoseTarget', 'with_kp', target['with_kp'],
      'one of with_kp and with_limb',
    )  # fmt: skip
  draws_limbs, mirrored = target['with_limb'], target['double']
  # Channels are swapped, which may be limbs, unless joints are flipped first.
  swaps_limbs = draws_limbs and not flips_first
  joint_pairs = _pairs(target, 'kp')
  return Translated(
    data=published.sampling(found['UniformSampleFrames'], code_base, 48),
    input={
      **_compact(**found['PoseCompact']),
      **_resize(found['Resize'], found.get('CenterCrop')),
      'heatmap': 'limb' if draws_limbs else 'keypoint',
      'sigma': float(target['sigma']),
      'use_score': target['use_score'],
      'scaling': float(target['scaling']),
      'min_score': 1e-3 if code_base == 'pyskl' else 1e-4,
      'mirror': '0x' if flips_first else '1x',
    },
    mirrored=mirrored,
    limbs=tuple((a, b) for a, b in target['skeletons']) if draws_limbs else (),
    left_right=joint_pairs if mirrored and not swaps_limbs else None,
    left_right_limbs=(
      _pairs(target, 'limb') if mirrored and swaps_limbs else None
    ),
  )


def flips_joints(pipeline: published.Pipeline) -> bool:
  """Whether keypoints are flipped before heatmaps are drawn.

  mmaction2 0.x and 1.0.0rc0 do so; their heatmaps have the format NCTHW.
  """
  return any(
    t['type'] == 'FormatShape' and t.get('input_format') == 'NCTHW'
    for t in pipeline
  )


def _find_transforms(pipeline: published.Pipeline) -> dict[str, dict[str, Any]]:
  """Return the arguments of each transform, checked for order."""
  found: dict[str, dict[str, Any]] = {}
  for transform in pipeline:
    arguments = published.arguments(transform, _TRANSFORMS)
    kind = transform['type']
    if kind == 'UniformSample':
      kind = 'UniformSampleFrames'  # One transform in pyskl.
    if kind in found:
      raise published.pipeline_error(f'has {kind} twice')
    found[kind] = arguments
  for kind in _ORDER:
    if kind not in found and kind not in _OPTIONAL:
      raise published.pipeline_error(f'has no {kind}')
  kinds = [kind for kind in found if kind in _ORDER]
  if kinds != sorted(kinds, key=_ORDER.index):
    raise published.pipeline_error(
      f'has the order {", ".join(kinds)}; skeljax supports {", ".join(_ORDER)}'
    )
  return found


def _compact(
  padding=0.25, threshold=10, hw_ratio=None, allow_imgpad=True
) -> dict[str, Any]:
  """Return config fields; defaults are those of PoseCompact."""
  if published.is_number(hw_ratio):
    hw_ratio = (hw_ratio, hw_ratio)
  return {
    'compact_padding': float(padding),
    'compact_threshold': float(threshold),
    'compact_hw_ratio': tuple(map(float, hw_ratio or ())),
    'allow_imgpad': allow_imgpad,
  }


def _resize(
  resize: Mapping[str, Any], crop: Mapping[str, Any] | None
) -> dict[str, Any]:
  """Return the size of the heatmaps and how images reach it."""
  scale: Any = resize.get('scale')
  keeps_ratio = resize.get('keep_ratio', True)
  expected = '(-1, SIZE) with keep_ratio' if keeps_ratio else 'a square'
  if not _is_pair(lambda v: isinstance(v, int), scale):
    raise published.unsupported('Resize', 'scale', scale, 'two integers')
  size = max(scale)
  if size < 1 or min(scale) != (-1 if keeps_ratio else size):
    raise published.unsupported('Resize', 'scale', scale, expected)
  if keeps_ratio and crop is None:
    raise published.pipeline_error(
      f'resizes the short side to {size}; skeljax expects'
      f' CenterCrop(crop_size={size}) after it'
    )
  crop_size = crop.get('crop_size') if crop else size
  if crop_size not in (size, [size, size]):
    raise published.unsupported(
      'CenterCrop', 'crop_size', crop_size, repr(size)
    )
  return {
    'test_size': size, 'resize': 'short_side' if keeps_ratio else 'stretch',
  }  # fmt: skip


def _pairs(target: Mapping[str, Any], what: str) -> skeletons.Pairs:
  """Return the (left, right) pairs of joints ('kp') or limbs ('limb')."""
  lefts, rights = target[f'left_{what}'], target[f'right_{what}']
  if len(lefts) != len(rights):
    raise published.unsupported(
      'GeneratePoseTarget', f'right_{what}', rights, f'as many as left_{what}'
    )
  return tuple(zip(lefts, rights))

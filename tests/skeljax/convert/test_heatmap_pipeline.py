"""Translating test pipelines of PoseC3D."""

import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import heatmap_input
from skeljax.convert import heatmap_pipeline
from skeljax.convert import published_config

COCO = skeletons.get_layout('coco')
LEFT = [left for left, _ in COCO.left_right]
RIGHT = [right for _, right in COCO.left_right]
LEFT_LIMBS = [i for i, j in enumerate(COCO.limb_flip_index) if i < j]
RIGHT_LIMBS = [COCO.limb_flip_index[i] for i in LEFT_LIMBS]
LIMBS = [list(limb) for limb in COCO.limbs]


def pipeline(*, size=64, num_clips=10, target=None, resize=None, end=None):
  """Return a test pipeline of mmaction2 1.x, or of others by their end."""
  if resize is None:
    resize = [
      dict(type='Resize', scale=[-1, size]),
      dict(type='CenterCrop', crop_size=size),
    ]
  if end is None:
    end = [
      dict(type='FormatShape', input_format='NCTHW_Heatmap'),
      dict(type='PackActionInputs'),
    ]
  joints = dict(double=True, left_kp=LEFT, right_kp=RIGHT)
  return [
    dict(type='UniformSampleFrames', clip_len=48, num_clips=num_clips),
    dict(type='PoseDecode'),
    dict(type='PoseCompact', hw_ratio=1.0, allow_imgpad=True),
    *resize,
    dict(type='GeneratePoseTarget', **(joints if target is None else target)),
    *end,
  ]


def limb_target(**changed):
  return dict(
    with_kp=False, with_limb=True, skeletons=LIMBS, double=True, left_kp=LEFT,
    right_kp=RIGHT, left_limb=LEFT_LIMBS, right_limb=RIGHT_LIMBS,
  ) | changed  # fmt: skip


def changed(kind, **arguments):
  """Return the pipeline of 1.x with changed arguments of one transform."""
  return [
    t | arguments if t['type'] == kind else t
    for t in pipeline(target=limb_target())
  ]


ZERO_X = [
  dict(type='FormatShape', input_format='NCTHW'),
  dict(type='Collect', keys=['imgs', 'label'], meta_keys=[]),
  dict(type='ToTensor', keys=['imgs']),
]
PYSKL = [dict(type='FormatShape', input_format='NCTHW_Heatmap'), *ZERO_X[1:]]
STRETCH = [dict(type='Resize', scale=[56, 56], keep_ratio=False)]


def test_mmaction1x():
  found = heatmap_pipeline.translate(pipeline(), 'mmaction1x')
  assert found.data == {'frames': 'uniform', 'clip_len': 48, 'num_clips': 10}
  assert found.input == {
    'heatmap': 'keypoint', 'sigma': 0.6, 'use_score': True, 'min_score': 1e-4,
    'scaling': 1.0, 'test_size': 64, 'resize': 'short_side',
    'compact_padding': 0.25, 'compact_threshold': 10.0,
    'compact_hw_ratio': (1.0, 1.0), 'allow_imgpad': True, 'mirror': '1x',
  }  # fmt: skip
  assert found.mirrored
  assert found.fit(COCO, 17, 'f.pth') is COCO


def test_pyskl_stretches_and_drops_low_scores():
  found = heatmap_pipeline.translate(
    pipeline(resize=STRETCH, end=PYSKL), 'pyskl'
  )
  assert found.data['frames'] == 'uniform_pyskl'
  assert found.input['resize'] == 'stretch'
  assert found.input['test_size'] == 56
  assert found.input['min_score'] == 1e-3
  assert found.input['mirror'] == '1x'


def test_mmaction0x_flips_joints_even_if_it_draws_limbs():
  target = limb_target()
  # It has no arguments for limbs.
  del target['left_limb'], target['right_limb']
  found = heatmap_pipeline.translate(
    pipeline(target=target, end=ZERO_X), 'mmaction0x'
  )
  assert found.input['heatmap'] == 'limb'
  assert found.input['mirror'] == '0x'
  assert found.fit(COCO, 17, 'f.pth') is COCO


def test_the_release_candidate_of_1x_flips_as_0x():
  end = [ZERO_X[0], dict(type='PackActionInputs')]
  assert heatmap_input.find_code_base(pipeline(end=end), {}) == 'mmaction1x'
  found = heatmap_pipeline.translate(pipeline(end=end), 'mmaction1x')
  assert found.input['mirror'] == '0x'


@pytest.mark.parametrize(
  'end, naming',
  [(None, 'mmaction1x'), (ZERO_X, 'mmaction0x'), (PYSKL, 'pyskl'), ([], '')],
)
def test_the_last_transforms_define_the_code_base(end, naming):
  assert heatmap_input.find_code_base(pipeline(end=end), {}) == naming


def test_decompression_does_not_change_the_input():
  compressed = [dict(type='DecompressPose', squeeze=True), *pipeline()]
  found = heatmap_pipeline.translate(compressed, 'mmaction1x')
  assert found == heatmap_pipeline.translate(pipeline(), 'mmaction1x')


def test_limbs_in_another_order_are_other_channels():
  # Those of the class are not those of the published configurations.
  target = dict(with_kp=False, with_limb=True, double=True)
  found = heatmap_pipeline.translate(pipeline(target=target), 'mmaction1x')
  fitted = found.fit(COCO, 17, 'f.pth')
  assert fitted.joints == COCO.joints
  assert fitted.limbs[:3] == ((0, 1), (0, 2), (1, 3))
  assert sorted(fitted.limbs) != list(fitted.limbs)
  assert set(map(frozenset, fitted.limbs)) == set(map(frozenset, COCO.limbs))


def test_missing_arguments_have_the_defaults_of_the_class():
  bare = [
    dict(type='UniformSample', clip_len=32),
    dict(type='PoseCompact'),
    dict(type='Resize', scale=[48, 48], keep_ratio=False),
    dict(type='GeneratePoseTarget'),
  ]
  found = heatmap_pipeline.translate(bare, 'mmaction1x')
  assert found.data == {'frames': 'uniform', 'clip_len': 32, 'num_clips': 1}
  assert found.input['compact_hw_ratio'] == ()
  assert found.input['heatmap'] == 'keypoint'
  assert not found.mirrored
  assert found.left_right is None


def test_hw_ratio_may_be_none_but_not_an_expression():
  text = 'x = dict(hw_ratio=None), dict(hw_ratio=ratio)'
  none, unknown = published_config.parse(text)['x']
  found = heatmap_pipeline.translate(
    changed('PoseCompact', **none), 'mmaction1x'
  )
  assert found.input['compact_hw_ratio'] == ()
  with pytest.raises(errors.UserError, match='hw_ratio=<an expression>'):
    heatmap_pipeline.translate(changed('PoseCompact', **unknown), 'mmaction1x')


def test_flips_that_swap_other_parts_are_an_error():
  for what, pairs in (
    ('joints', pipeline(target=dict(double=True, left_kp=[1], right_kp=[2]))),
    ('joints', pipeline(target=dict(double=True, left_kp=[99], right_kp=[2]))),
    # The defaults of the class are for its own limbs.
    (
      'limbs',
      pipeline(
        target=dict(with_kp=False, with_limb=True, skeletons=LIMBS, double=True)
      ),
    ),
  ):
    found = heatmap_pipeline.translate(pairs, 'mmaction1x')
    with pytest.raises(errors.UserError, match=f'swaps other {what}'):
      found.fit(COCO, 17, 'f.pth')


def test_limbs_between_unknown_joints_are_an_error():
  target = dict(with_kp=False, with_limb=True, skeletons=[[0, 1], [1, 40]])
  found = heatmap_pipeline.translate(pipeline(target=target), 'mmaction1x')
  with pytest.raises(errors.UserError, match="joint 40, .* layout 'coco'"):
    found.fit(COCO, 2, 'f.pth')


@pytest.mark.parametrize(
  'kind, arguments, expected',
  [
    ('PoseCompact', dict(hw_ratio=[1]), r'hw_ratio=\[1\]'),
    (
      'PoseCompact',
      dict(hw_ratio=published_config.UNREADABLE),
      'hw_ratio=<an expression>.*a number, two or None',
    ),
    ('PoseCompact', dict(padding='x'), 'supports a number'),
    ('PoseCompact', dict(threshold=True), 'supports a number'),
    ('PoseCompact', dict(allow_imgpad=None), 'supports True or False'),
    ('PoseCompact', dict(target=1), 'supports no such argument'),
    ('Resize', dict(scale=0.5), 'two integers'),
    ('Resize', dict(scale=[64, 64]), r'\(-1, SIZE\)'),
    ('Resize', dict(scale=[64, 48], keep_ratio=False), 'a square'),
    ('Resize', dict(scale=[48, 48], keep_ratio=False), 'supports 48'),
    (
      'Resize',
      dict(scale=[-1, 32]),
      'CenterCrop.crop_size=64.; skeljax supports 32',
    ),
    ('CenterCrop', dict(crop_size=[64, 48]), 'supports 64'),
    ('GeneratePoseTarget', dict(with_kp=True), 'one of with_kp and with_limb'),
    ('GeneratePoseTarget', dict(with_limb=False), 'one of with_kp'),
    ('GeneratePoseTarget', dict(sigma=[1]), 'supports a number'),
    ('GeneratePoseTarget', dict(use_score=1), 'supports True or False'),
    ('GeneratePoseTarget', dict(skeletons=[[0, 1, 2]]), 'pairs of joints'),
    ('GeneratePoseTarget', dict(skeletons=None), 'pairs of joints'),
    ('GeneratePoseTarget', dict(left_limb=[1.5]), 'list of indices'),
    ('GeneratePoseTarget', dict(left_limb=[1]), 'as many as left_limb'),
    ('FormatShape', dict(collapse=True), 'supports False'),
    ('UniformSampleFrames', dict(seed=1), 'supports 255'),
  ],
)
def test_unsupported_arguments_are_never_dropped(kind, arguments, expected):
  with pytest.raises(errors.UserError, match=expected) as error:
    heatmap_pipeline.translate(changed(kind, **arguments), 'mmaction1x')
  assert '--config=FILE' in str(error.value)


@pytest.mark.parametrize(
  'transform', ['RandomResizedCrop', 'PreNormalize2D', 'FormatGCNInput', 'Fuse']
)
def test_other_transforms_are_an_error(transform):
  with pytest.raises(errors.UserError, match=f"transform '{transform}'"):
    heatmap_pipeline.translate(
      [*pipeline(), dict(type=transform)], 'mmaction1x'
    )


def test_a_flip_of_probability_zero_does_not_change_the_input():
  never = [*pipeline(), dict(type='Flip', flip_ratio=0)]
  assert heatmap_pipeline.translate(
    never, 'mmaction1x'
  ) == heatmap_pipeline.translate(pipeline(), 'mmaction1x')
  for ratio in (0.5, 1):
    with pytest.raises(errors.UserError, match='Flip.flip_ratio'):
      heatmap_pipeline.translate(
        [*pipeline(), dict(type='Flip', flip_ratio=ratio)], 'mmaction1x'
      )


@pytest.mark.parametrize(
  'kind',
  ['UniformSampleFrames', 'PoseCompact', 'Resize', 'GeneratePoseTarget'],
)
def test_missing_and_repeated_transforms_are_an_error(kind):
  lacking = [t for t in pipeline() if t['type'] != kind]
  with pytest.raises(errors.UserError, match=f'has no {kind}'):
    heatmap_pipeline.translate(lacking, 'mmaction1x')
  twice = [t for t in pipeline() for _ in range(1 + (t['type'] == kind))]
  with pytest.raises(errors.UserError, match=f'has {kind} twice'):
    heatmap_pipeline.translate(twice, 'mmaction1x')


def test_another_order_is_an_error():
  by_kind = {t['type']: t for t in pipeline()}
  for first, second in (
    ('PoseCompact', 'UniformSampleFrames'),
    ('Resize', 'PoseCompact'),
    ('CenterCrop', 'Resize'),
    ('GeneratePoseTarget', 'CenterCrop'),
  ):
    other = {k: v for k, v in by_kind.items() if k != first}
    kinds = list(other)
    kinds.insert(kinds.index(second), first)
    with pytest.raises(errors.UserError, match=f'order .*{first}, {second}'):
      heatmap_pipeline.translate([by_kind[k] for k in kinds], 'mmaction1x')


def test_the_input_kind_of_a_pipeline():
  assert published_config.input_kind(pipeline()) == 'heatmaps'
  joints = [dict(type='FormatGCNInput')]
  assert published_config.input_kind(joints) == 'joints'
  assert published_config.input_kind([]) == ''

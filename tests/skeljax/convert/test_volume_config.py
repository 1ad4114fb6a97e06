"""Claims about reading test pipelines of PoseC3D without running them."""

import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import published_config
from skeljax.convert import volume_config

COCO = skeletons.get_layout('coco')
LEFT = [left for left, _ in COCO.left_right]
RIGHT = [right for _, right in COCO.left_right]
LEFT_LIMBS = [i for i, j in enumerate(COCO.limb_flip_index) if i < j]
RIGHT_LIMBS = [COCO.limb_flip_index[i] for i in LEFT_LIMBS]
LIMBS = [list(limb) for limb in COCO.limbs]


def pipeline(*, size=64, num_clips=10, target=None, resize=None, end=None):
  """A test pipeline of mmaction2 1.x, or with another end of others."""
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
  """The pipeline of 1.x with other arguments of one transform."""
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
  found = volume_config.preprocessing(pipeline(), 'mmaction1x')
  assert found.data == {'frames': 'uniform', 'clip_len': 48, 'num_clips': 10}
  assert found.features == {
    'heatmap': 'keypoint', 'sigma': 0.6, 'use_score': True, 'min_score': 1e-4,
    'scaling': 1.0, 'test_size': 64, 'resize': 'short_side',
    'compact_padding': 0.25, 'compact_threshold': 10.0,
    'compact_hw_ratio': (1.0, 1.0), 'allow_imgpad': True, 'mirror': '1x',
  }  # fmt: skip
  assert found.mirrored
  assert found.fit(COCO, 'f.pth') is COCO


def test_pyskl_stretches_and_leaves_weak_joints_out():
  found = volume_config.preprocessing(
    pipeline(resize=STRETCH, end=PYSKL), 'pyskl'
  )
  assert found.data['frames'] == 'uniform_pyskl'
  assert found.features['resize'] == 'stretch'
  assert found.features['test_size'] == 56
  assert found.features['min_score'] == 1e-3
  assert found.features['mirror'] == '1x'


def test_mmaction0x_mirrors_joints_even_where_it_draws_limbs():
  target = limb_target()
  # It knew no mirrored limbs.
  del target['left_limb'], target['right_limb']
  found = volume_config.preprocessing(
    pipeline(target=target, end=ZERO_X), 'mmaction0x'
  )
  assert found.features['heatmap'] == 'limb'
  assert found.features['mirror'] == '0x'
  assert found.fit(COCO, 'f.pth') is COCO


def test_the_first_candidate_of_1x_mirrors_as_0x():
  end = [ZERO_X[0], dict(type='PackActionInputs')]
  assert volume_config.code_base(pipeline(end=end)) == 'mmaction1x'
  found = volume_config.preprocessing(pipeline(end=end), 'mmaction1x')
  assert found.features['mirror'] == '0x'


@pytest.mark.parametrize(
  'end, naming',
  [(None, 'mmaction1x'), (ZERO_X, 'mmaction0x'), (PYSKL, 'pyskl'), ([], '')],
)
def test_the_last_transforms_tell_the_code_base(end, naming):
  assert volume_config.code_base(pipeline(end=end)) == naming


def test_compressed_annotations_are_decompressed_before():
  compressed = [dict(type='DecompressPose', squeeze=True), *pipeline()]
  found = volume_config.preprocessing(compressed, 'mmaction1x')
  assert found == volume_config.preprocessing(pipeline(), 'mmaction1x')


def test_limbs_in_another_order_are_other_channels():
  # Those of the class are not those of the published configurations.
  target = dict(with_kp=False, with_limb=True, double=True)
  found = volume_config.preprocessing(pipeline(target=target), 'mmaction1x')
  fitted = found.fit(COCO, 'f.pth')
  assert fitted.joints == COCO.joints
  assert fitted.limbs[:3] == ((0, 1), (0, 2), (1, 3))
  assert sorted(fitted.limbs) != list(fitted.limbs)
  assert set(map(frozenset, fitted.limbs)) == set(map(frozenset, COCO.limbs))


def test_what_is_left_out_has_the_default_of_the_class():
  bare = [
    dict(type='UniformSample', clip_len=32),
    dict(type='PoseCompact'),
    dict(type='Resize', scale=[48, 48], keep_ratio=False),
    dict(type='GeneratePoseTarget'),
  ]
  found = volume_config.preprocessing(bare, 'mmaction1x')
  assert found.data == {'frames': 'uniform', 'clip_len': 32, 'num_clips': 1}
  assert found.features['compact_hw_ratio'] == ()
  assert found.features['heatmap'] == 'keypoint'
  assert not found.mirrored
  assert found.left_right is None


def test_a_box_may_keep_its_shape_in_so_many_words():
  text = 'x = dict(hw_ratio=None), dict(hw_ratio=ratio)'
  said, unknown = published_config.parse(text)['x']
  found = volume_config.preprocessing(
    changed('PoseCompact', **said), 'mmaction1x'
  )
  assert found.features['compact_hw_ratio'] == ()
  with pytest.raises(errors.UserError, match='hw_ratio=<an expression>'):
    volume_config.preprocessing(changed('PoseCompact', **unknown), 'mmaction1x')


def test_a_mirror_of_other_parts_is_refused():
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
    found = volume_config.preprocessing(pairs, 'mmaction1x')
    with pytest.raises(errors.UserError, match=f'mirrors other {what}'):
      found.fit(COCO, 'f.pth')


def test_limbs_of_joints_that_the_layout_has_not_are_refused():
  target = dict(with_kp=False, with_limb=True, skeletons=[[0, 1], [1, 40]])
  found = volume_config.preprocessing(pipeline(target=target), 'mmaction1x')
  with pytest.raises(errors.UserError, match="joint 40, and layout 'coco'"):
    found.fit(COCO, 'f.pth')


@pytest.mark.parametrize(
  'kind, arguments, said',
  [
    ('PoseCompact', dict(hw_ratio=[1]), r'hw_ratio=\[1\]'),
    (
      'PoseCompact',
      dict(hw_ratio=published_config.UNREADABLE),
      'hw_ratio=<an expression>.*a number, two or None',
    ),
    ('PoseCompact', dict(padding='x'), 'has a number'),
    ('PoseCompact', dict(threshold=True), 'has a number'),
    ('PoseCompact', dict(allow_imgpad=None), 'has True or False'),
    ('PoseCompact', dict(target=1), 'has nothing'),
    ('Resize', dict(scale=0.5), 'two whole numbers'),
    ('Resize', dict(scale=[64, 64]), r'\(-1, SIZE\)'),
    ('Resize', dict(scale=[64, 48], keep_ratio=False), 'a square'),
    ('Resize', dict(scale=[48, 48], keep_ratio=False), 'skeljax has 48'),
    ('Resize', dict(scale=[-1, 32]), r'expects CenterCrop\(crop_size=32\)'),
    ('CenterCrop', dict(crop_size=[64, 48]), 'expects CenterCrop'),
    ('GeneratePoseTarget', dict(with_kp=True), 'one of with_kp and with_limb'),
    ('GeneratePoseTarget', dict(with_limb=False), 'one of with_kp and with'),
    ('GeneratePoseTarget', dict(sigma=[1]), 'has a number'),
    ('GeneratePoseTarget', dict(use_score=1), 'has True or False'),
    ('GeneratePoseTarget', dict(skeletons=[[0, 1, 2]]), 'pairs of joints'),
    ('GeneratePoseTarget', dict(skeletons=None), 'pairs of joints'),
    ('GeneratePoseTarget', dict(left_limb=[1.5]), 'has indices'),
    ('GeneratePoseTarget', dict(left_limb=[1]), 'as many as left_limb'),
    ('FormatShape', dict(collapse=True), 'has False'),
    ('UniformSampleFrames', dict(seed=1), 'has 255'),
  ],
)
def test_what_skeljax_does_not_do_is_refused_and_never_left_out(
  kind, arguments, said
):
  with pytest.raises(errors.UserError, match=said) as error:
    volume_config.preprocessing(changed(kind, **arguments), 'mmaction1x')
  assert '--config=FILE' in str(error.value)


@pytest.mark.parametrize(
  'transform', ['RandomResizedCrop', 'PreNormalize2D', 'FormatGCNInput', 'Fuse']
)
def test_a_transform_that_is_no_part_of_it_is_refused(transform):
  with pytest.raises(errors.UserError, match=f"'{transform}' in its test"):
    volume_config.preprocessing(
      [*pipeline(), dict(type=transform)], 'mmaction1x'
    )


def test_a_flip_that_never_happens_changes_nothing():
  never = [*pipeline(), dict(type='Flip', flip_ratio=0)]
  assert volume_config.preprocessing(
    never, 'mmaction1x'
  ) == volume_config.preprocessing(pipeline(), 'mmaction1x')
  for ratio in (0.5, 1):
    with pytest.raises(errors.UserError, match='Flip.flip_ratio'):
      volume_config.preprocessing(
        [*pipeline(), dict(type='Flip', flip_ratio=ratio)], 'mmaction1x'
      )


@pytest.mark.parametrize(
  'kind',
  ['UniformSampleFrames', 'PoseCompact', 'Resize', 'GeneratePoseTarget'],
)
def test_a_part_that_is_missing_or_there_twice_is_refused(kind):
  lacking = [t for t in pipeline() if t['type'] != kind]
  with pytest.raises(errors.UserError, match=f'has no {kind}'):
    volume_config.preprocessing(lacking, 'mmaction1x')
  twice = [t for t in pipeline() for _ in range(1 + (t['type'] == kind))]
  with pytest.raises(errors.UserError, match=f'has {kind} twice'):
    volume_config.preprocessing(twice, 'mmaction1x')


def test_another_order_is_another_input():
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
      volume_config.preprocessing([by_kind[k] for k in kinds], 'mmaction1x')


def test_a_pipeline_of_keypoints_draws_no_heatmaps():
  assert published_config.takes_volumes(pipeline())
  assert not published_config.takes_volumes([dict(type='FormatGCNInput')])

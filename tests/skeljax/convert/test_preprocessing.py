"""Claims about what the input of a checkpoint is taken to look like."""

import pytest

from skeljax import errors
from skeljax import skeletons
from skeljax.convert import preprocessing
from skeljax.convert import recognize
from skeljax.skeletons import graph as graph_lib

PIPELINE = [
  dict(type='GenSkeFeat', feats=['b']),
  dict(type='UniformSampleFrames', clip_len=64, num_clips=3),
  dict(type='FormatGCNInput', num_person=1),
]


def architecture(naming, layout='nturgb+d', channels=3, **fields):
  """What recognize says of a file."""
  family = fields.pop('family', 'stgcn')
  graph = graph_lib.Graph(skeletons.get_layout(layout), 'spatial')
  return recognize.Architecture(
    family=family,
    naming=naming,
    options={},
    graph=graph,
    num_classes=4,
    num_channels=channels,
    **{'num_persons': None} | fields,
  )


def find(found, **kwargs):
  """preprocessing.find with nothing given."""
  usual = dict(sections=None, pipeline=[], num_persons=0, source='f.pth')
  return preprocessing.find(found, **usual | kwargs)


@pytest.mark.parametrize(
  'found,data,features,average',
  [
    (
      architecture('mmaction1x'),
      ('uniform', 100, 10, 3, 'mmaction1x'), 'none', 'prob',
    ),
    (
      architecture('mmaction1x', 'coco'),
      ('uniform', 100, 10, 2, 'none'), 'mmaction1x', 'prob',
    ),
    (
      architecture('pyskl'),
      ('uniform_pyskl', 100, 10, 3, 'mmaction1x'), 'none', 'prob',
    ),
    (
      architecture('pyskl', 'handmp', 2),
      ('uniform_pyskl', 100, 10, 2, 'none'), 'pyskl_fix', 'prob',
    ),
    (
      architecture('mmaction0x'),
      ('loop', 300, 1, 3, 'mmaction0x'), 'none', 'score',
    ),
    (
      architecture('mmaction0x', 'coco'),
      ('loop', 300, 1, 2, 'none'), 'mmaction0x', 'score',
    ),
    (
      architecture('original'), ('zero', 300, 1, 3, 'none'), 'none', 'score',
    ),
    (
      architecture('original', family='agcn'),
      ('loop', 300, 1, 3, 'mmaction0x'), 'none', 'score',
    ),
  ],
)  # fmt: skip
def test_a_silent_file_is_taken_for_the_published_test_pipeline(
  found, data, features, average
):
  result = find(found)
  section = result.sections['data']
  names = ('frames', 'clip_len', 'num_clips', 'dims', 'normalize')
  assert tuple(section[name] for name in names) == data
  assert result.sections['input']['normalize_2d'] == features
  assert result.sections['input']['stream'] == 'joint'
  assert result.sections['eval']['average'] == average
  assert result.num_persons == 2
  said = '; '.join(result.notes)
  assert 'the published test pipeline' in said
  assert '--num_persons overrides' in said
  assert ('3 channels were taken for' in said) == (found.num_channels == 3)


def test_a_pipeline_says_it_all():
  result = find(architecture('mmaction1x'), pipeline=PIPELINE)
  data = result.sections['data']
  assert (data['frames'], data['clip_len'], data['num_clips']) == (
    'uniform', 64, 3,
  )  # fmt: skip
  # It normalises nothing, so nothing is normalised.
  assert data['normalize'] == 'none'
  assert result.sections['input']['stream'] == 'bone'
  assert result.num_persons == 1
  assert '--num_persons overrides' not in '; '.join(result.notes)


def test_a_pipeline_that_normalises_says_what_three_channels_are():
  solid = [dict(type='PreNormalize3D')]
  flat = [dict(type='PreNormalize2D')]
  for layout in ('coco', 'nturgb+d'):
    for pipeline, dims in ((solid, 3), (flat, 2)):
      result = find(architecture('mmaction1x', layout), pipeline=pipeline)
      assert result.sections['data']['dims'] == dims
      assert '3 channels' not in '; '.join(result.notes)


def test_normalisation_of_0x_happened_before_training():
  loop = [dict(type='PaddingWithLoop', clip_len=300)]
  data = find(architecture('mmaction0x'), pipeline=loop).sections['data']
  assert data['normalize'] == 'mmaction0x'
  # BABEL's clips are raw and all of one length.
  babel = [dict(type='PoseDecode'), dict(type='FormatGCNInput', num_person=1)]
  result = find(architecture('mmaction0x'), pipeline=babel)
  assert result.sections['data']['normalize'] == 'none'
  assert result.sections['data']['clip_len'] == 150
  assert result.num_persons == 1
  assert 'chooses frames in no way' in '; '.join(result.notes)


def test_given_sections_win():
  sections = {
    'data': {'frames': 'zero'},
    'input': {'stream': 'bone'},
    'eval': {'average': 'prob'},
  }
  result = find(
    architecture('mmaction1x', num_persons=3),
    sections=sections,
    pipeline=PIPELINE,
  )
  assert result.sections == sections
  assert result.num_persons == 3


def test_persons_that_the_weights_contradict_are_an_error():
  found = architecture('mmaction1x', num_persons=2)
  assert find(found).num_persons == 2
  with pytest.raises(errors.UserError, match='f.pth was made for 2 persons'):
    find(found, num_persons=3)


@pytest.mark.parametrize('channels', [1, 4, 6])
def test_channels_that_skeljax_does_not_make_are_an_error(channels):
  with pytest.raises(errors.UserError, match=f'takes {channels} channels'):
    find(architecture('mmaction1x', channels=channels))


def test_a_third_channel_is_a_score_where_the_layout_is_filmed():
  assert find(architecture('mmaction1x', 'coco')).sections['data']['dims'] == 2
  assert (
    find(architecture('mmaction1x', 'nturgb+d')).sections['data']['dims'] == 3
  )
  assert (
    find(architecture('mmaction1x', channels=2)).sections['data']['dims'] == 2
  )

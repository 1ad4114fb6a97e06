"""What the headers of configurations and the README say of the rows."""

import functools
import pathlib
import re

import pytest

from data_prep import sources
from skeljax import cli
from skeljax import skeletons
from skeljax.datasets import class_names
from tests import published_rows

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ROWS = published_rows.ROWS
_STREAMS = ('joint', 'bone', 'joint-motion', 'bone-motion')
_WORK = re.compile(
  r'^(\S.*?) +([\d.]+) G x ([\d,]+) x (\d+) x 6 = ([\d,]+) PFLOP, ([\d.]+) hours',
  re.MULTILINE,
)
_PATTERN = re.compile(
  r'(?P<network>[\w-]+)_8xb16-(?P<stream>[a-z-]+)-u100-80e_(?P<data>\w+)'
  r'-xsub-keypoint-(?P<dims>\dd)$'
)
# Billions of multiply-adds a clip: those of the published configurations at
# their own number of frames, persons and pixels (fvcore counts them so).
_MULTIPLY_ADDS = {
  'stgcn_joint_2d.py': {'published': 11.46, 'u100': 3.82},
  'stgcn_joint_3d.py': {'published': 17.14, 'u100': 5.71},
  'agcn_joint.py': {'published': 19.48, 'u100': 6.49, 'u100,2d': 4.35},
  'agcn_bone.py': {'published': 19.48, 'u100': 6.49, 'u100,2d': 4.35},
  'stgcnpp.py': {'u100': 2.96, 'u100,2d': 1.95},
  # One person and half of 300 frames: a quarter of ST-GCN's 17.14.
  'stgcn_babel': {'published': 4.29},
  'posec3d_gym': {'all words': 15.78},
  'posec3d_ntu60': {'all words': 15.78},
  'posec3d_ntu120': {'published': 15.78},
  # 14.62 on 56 x 56 pixels; training has 48 x 48.
  'posec3d_ucf101': {'all words': 10.74},
  'posec3d_hmdb51': {'all words': 10.74},
  'posec3d_k400': {'mmaction1x': 14.62},
}


@functools.cache
def _header(file):
  text = (_ROOT / 'configs' / file).read_text(encoding='utf-8')
  # Long names are broken after an underscore.
  return re.sub(r'_\n +', '_', text.split('"""')[1])


def _hardware(text, published, accuracy):
  """GPUs and clips on each, behind a row and its accuracy; () if it is not."""
  line = re.search(
    rf'{re.escape(published)}( \(0\.x\))? +{re.escape(accuracy)}\b'
    r'( +[\d.]+)? +(\d+) x (\d+)$',
    text,
    re.MULTILINE,
  )
  return (int(line[3]), int(line[4])) if line else ()


def _table_says(header, row):
  """Whether the table of all streams has a row's accuracy in its place."""
  name = _PATTERN.match(row.published)
  if name is None or f'{name["network"]}_8xb16-STREAM-u100-80e_' not in header:
    return False
  words = f'u100,{name["dims"]},{name["data"]}'
  line = re.search(rf'^{words} +(.*)$', header, re.MULTILINE)
  column = _STREAMS.index(name['stream'])
  return line is not None and line[1].split()[column] == row.accuracy


@pytest.mark.parametrize('row', _ROWS, ids=lambda row: row.published)
def test_header_has_the_row_and_its_accuracy(row):
  header = _header(row.command.partition(':')[0])
  hardware = _hardware(header, row.published, row.accuracy)
  assert hardware or _table_says(header, row)
  if hardware:
    gpus, clips = hardware
    config = cli.load_config(f'{_ROOT}/configs/{row.command}')
    assert config.model.norm_group == clips
    assert config.train.batch_size == gpus * clips


@pytest.mark.parametrize(
  'file', sorted({r.command.split(':')[0] for r in _ROWS})
)
def test_work_in_the_header_is_worked_out(file):
  header = _header(file)
  assert 'an estimate' in header and 'sustained 10 TFLOP/s' in header
  found = _WORK.findall(header)
  known = next(v for k, v in _MULTIPLY_ADDS.items() if file.startswith(k))
  assert {words for words, *_ in found} - {'u100,ntu120'} == set(known)
  for words, giga, clips, passes, peta, hours in found:
    choice = '' if words == 'all words' else words
    config = cli.load_config(f'{_ROOT}/configs/{file}:{choice}')
    data = config.data.dataset.split('_')[0]
    assert int(clips.replace(',', '')) == published_rows.CLIPS[data]
    assert int(passes) == config.train.epochs * config.data.repeat
    assert float(giga) == known[words.removesuffix(',ntu120')]
    work = float(giga) * 1e9 * published_rows.CLIPS[data] * int(passes) * 6
    assert int(peta.replace(',', '')) == round(work / 1e15)
    assert float(hours) == pytest.approx(work / 1e13 / 3600, abs=0.051)


@pytest.mark.parametrize(
  'file', sorted({r.command.split(':')[0] for r in _ROWS})
)
def test_header_has_the_commands(file):
  header = _header(file).replace('\\\n', ' ').replace('\\', ' ')
  assert f'python -m skeljax.main --config=configs/{file}' in header
  if not file.startswith('posec3d') and len(_WORK.findall(header)) > 1:
    assert 'Other rows take their words' in header
  for command in re.findall(r'--config=configs/(\S+:[\w,]+)', header):
    assert command.startswith(file)
    cli.load_config(f'{_ROOT}/configs/{command}')
  preparation = re.search(r'python -m data_prep.main[^\n]*', header)
  config = cli.load_config(f'{_ROOT}/configs/{file}')
  assert f'--name={config.data.dataset} ' in preparation[0]
  said = dict(re.findall(r'--(\w+)=(\S+)', preparation[0]))
  assert said['source'] in sources.SOURCES
  assert said['class_names'] in class_names.known_lists()
  assert said['layout'] in skeletons.LAYOUTS
  assert said.get('normalize', 'none') == config.data.normalize
  count = published_rows.CLASSES[config.data.dataset.split('_')[0]]
  assert len(class_names.load_class_names(said['class_names'])) == count


def _readme():
  text = (_ROOT / 'README.md').read_text(encoding='utf-8')
  cells = [line.strip('| ').split(' | ') for line in text.splitlines()]
  return {row[0]: row[1:] for row in cells if len(row) > 2}


@pytest.mark.parametrize('row', published_rows.ZOO, ids=lambda r: r.published)
def test_readme_maps_every_row_of_the_zoo(row):
  command, accuracy = _readme()[row.published]
  assert command == f'`configs/{row.command}`'
  assert accuracy.split()[0] == row.accuracy


def test_readme_maps_the_patterns_of_mmaction2_1x():
  table = _readme()
  for row in _ROWS:
    name = _PATTERN.match(row.published)
    if name is None:
      continue
    key = f'{name["network"]}, {name["data"]}, {name["dims"]}'
    file, *accuracies = table[key]
    assert file == f'`configs/{row.command.partition(":")[0]}`'
    assert accuracies[_STREAMS.index(name['stream'])] == row.accuracy
    header = _header(row.command.partition(':')[0])
    line = re.search(
      rf'^u100,{name["dims"]},{name["data"]} +(.*)$', header, re.MULTILINE
    )
    # With the fused ones, as the header has them.
    assert accuracies == line[1].split()


def test_readme_has_the_other_recipes_of_posec3d():
  table = {row[0]: row[1:] for row in _readme().values() if 'posec3d' in row[0]}
  for row in _ROWS:
    file, _, words = row.command.partition(':')
    if file.startswith('posec3d') and words != 'rc0':
      published = table[f'`configs/{file}`'][words != 'published']
      assert published == row.accuracy

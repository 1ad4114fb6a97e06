"""The headers of the configs and the README have the published rows."""

import functools
import pathlib
import re

import pytest

from data_prep import options
from skeljax import cli
from skeljax import skeletons
from skeljax.datasets import class_names
from tests import published_rows

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_ROWS = published_rows.ROWS
_FILES = sorted({row.command.partition(':')[0] for row in _ROWS})
_STREAMS = ('joint', 'bone', 'joint-motion', 'bone-motion')
_WORK = re.compile(
  r'^(?:(\S+): )?([\d.]+) G x ([\d,]+) x (\d+) x 6 = ([\d,]+) PFLOP,'
  r' ([\d.]+) hours$',
  re.MULTILINE,
)
_PATTERN = re.compile(
  r'(?P<network>[\w-]+)_8xb16-(?P<stream>[a-z-]+)-u100-80e_(?P<data>\w+)'
  r'-xsub-keypoint-(?P<dims>\d)d$'
)
# Billions of multiply-adds per clip: those of the published configs with their
# number of frames, persons and pixels (as fvcore counts them).
_ST_GCN_1X = {
  f'dims={dims},dataset={data}_xsub_{dims}d': giga
  for dims, giga in ((2, 3.82), (3, 5.71))
  for data in ('ntu60', 'ntu120')
}
_NTU60_1X = ('dims=2,dataset=ntu60_xsub_2d', 'dims=3,dataset=ntu60_xsub_3d')
_POSEC3D = {
  'dataset=gym': 15.78,
  'dataset=ntu60_xsub_2d': 15.78,
  # 14.62 with 56 x 56 pixels; training has 48 x 48.
  'dataset=ucf101_split1': 10.74,
  'dataset=hmdb51_split1': 10.74,
}
_MULTIPLY_ADDS = {
  'stgcn_joint_2d.py': {'': 11.46},
  'stgcn_joint_3d.py': {'': 17.14},
  'agcn_joint.py': {'': 19.48},
  'agcn_bone.py': {'': 19.48},
  'stgcn_mmaction1x.py': _ST_GCN_1X,
  'agcn_mmaction1x.py': dict(zip(_NTU60_1X, (4.35, 6.49))),
  'stgcnpp_mmaction1x.py': dict(zip(_NTU60_1X, (1.95, 2.96))),
  # One person and half of 300 frames: a quarter of ST-GCN's 17.14.
  'stgcn_babel': {'': 4.29},
  'posec3d_gym': {'': 15.78},
  'posec3d_ntu60': {'': 15.78},
  'posec3d_ucf101': {'': 10.74},
  'posec3d_hmdb51': {'': 10.74},
  'posec3d_mmaction0x.py': _POSEC3D | {'dataset=ntu120_xsub_2d': 15.78},
  'posec3d_mmaction1x.py': _POSEC3D | {'dataset=k400': 14.62},
}


@functools.cache
def _header(file):
  text = (_ROOT / 'configs' / file).read_text(encoding='utf-8')
  # Long names are broken after an underscore.
  return re.sub(r'_\n +', '_', text.split('"""')[1])


def _hardware(text, published, accuracy):
  """GPUs and clips per GPU of a row with its accuracy; () without such row."""
  line = re.search(
    rf'{re.escape(published)}( \(0\.x\))? +{re.escape(accuracy)}\b'
    r'( +[\d.]+)? +(\d+) x (\d+)$',
    text,
    re.MULTILINE,
  )
  return (int(line[3]), int(line[4])) if line else ()


def _table_row(header, name):
  """Accuracies of all streams in the table of a header, as strings."""
  dims = name['dims']
  line = re.search(
    rf'^{dims} +{name["data"]}_xsub_{dims}d +(.*)$', header, re.MULTILINE
  )
  return line[1].split()


@pytest.mark.parametrize('row', _ROWS, ids=lambda row: row.published)
def test_header_has_the_row_and_its_accuracy(row):
  header = _header(row.command.partition(':')[0])
  name = _PATTERN.match(row.published)
  if name:
    pattern = f'{name["network"]}_8xb16-STREAM-u100-80e_DATA-xsub-keypoint-DIMS'
    hardware = re.search(rf'^{pattern}.* (\d+) x (\d+) clips\.$', header, re.M)
    column = _STREAMS.index(name['stream'])
    assert _table_row(header, name)[column] == row.accuracy
    gpus, clips = map(int, hardware.groups())
  else:
    gpus, clips = _hardware(header, row.published, row.accuracy)
  config = cli.load_config(f'{_ROOT}/configs/{row.command}')
  assert config.model.norm_group == clips
  assert config.train.batch_size == gpus * clips


@pytest.mark.parametrize('file', _FILES)
def test_compute_in_the_header_is_correct(file):
  header = _header(file)
  assert 'Estimated compute' in header
  assert 'sustained 10 TFLOP/s' in re.sub(r'\s+', ' ', header)
  found = _WORK.findall(header)
  known = next(v for k, v in _MULTIPLY_ADDS.items() if file.startswith(k))
  assert {arguments for arguments, *_ in found} == set(known)
  for arguments, giga, clips, passes, peta, hours in found:
    config = cli.load_config(f'{_ROOT}/configs/{file}:{arguments}')
    data = config.data.dataset.split('_')[0]
    assert int(clips.replace(',', '')) == published_rows.CLIPS[data]
    assert int(passes) == config.train.epochs * config.data.repeat
    assert float(giga) == known[arguments]
    work = float(giga) * 1e9 * published_rows.CLIPS[data] * int(passes) * 6
    assert int(peta.replace(',', '')) == round(work / 1e15)
    assert float(hours) == pytest.approx(work / 1e13 / 3600, abs=0.051)


def _all_files():
  folder = _ROOT / 'configs'
  return sorted(p.name for p in folder.glob('*.py') if p.stem != 'common')


@pytest.mark.parametrize('file', _all_files())
def test_header_has_the_commands(file):
  header = _header(file).replace('\\\n', ' ').replace('\\', ' ')
  assert f'python -m skeljax.main --config=configs/{file}' in header
  if file in _FILES and len(_WORK.findall(header)) > 1:
    assert 'give arguments, as in' in header
  for command in re.findall(r'--config=configs/(\S+:[\w,=]+)', header):
    assert command.startswith(file)
    cli.load_config(f'{_ROOT}/configs/{command}')
  preparation = re.search(r'python -m data_prep.main[^\n]*', header)
  config = cli.load_config(f'{_ROOT}/configs/{file}')
  assert f'--name={config.data.dataset} ' in preparation[0]
  arguments = dict(re.findall(r'--(\w+)=(\S+)', preparation[0]))
  assert arguments['source'] in options.SOURCES
  assert arguments.get('normalize', 'none') == config.data.normalize
  if file not in _FILES:  # NW-UCLA comes with its layout and class names.
    return
  assert arguments['class_names'] in class_names.known_lists()
  assert arguments['layout'] in skeletons.LAYOUTS
  count = published_rows.CLASSES[config.data.dataset.split('_')[0]]
  assert len(class_names.load_class_names(arguments['class_names'])) == count


def _readme():
  text = (_ROOT / 'README.md').read_text(encoding='utf-8')
  cells = [line.strip('| ').split(' | ') for line in text.splitlines()]
  return {row[0]: row[1:] for row in cells if len(row) > 2}


@pytest.mark.parametrize('row', published_rows.ZOO, ids=lambda r: r.published)
def test_readme_has_every_row_of_the_zoo(row):
  command, accuracy = _readme()[row.published]
  assert command == f'`configs/{row.command}`'
  assert accuracy.split()[0] == row.accuracy


def test_readme_has_the_patterns_of_mmaction2_1x():
  table = _readme()
  for row in _ROWS:
    name = _PATTERN.match(row.published)
    if name is None:
      continue
    file, _, arguments = row.command.partition(':')
    config = cli.load_config(f'{_ROOT}/configs/{row.command}')
    key = f'`configs/{file}:dims={name["dims"]},dataset={config.data.dataset}`'
    accuracies = table[key]
    assert accuracies[_STREAMS.index(name['stream'])] == row.accuracy
    assert arguments.startswith(f'stream={name["stream"].replace("-", "_")},')
    # With those of the fused streams.
    assert accuracies == _table_row(_header(file), name)


def test_readme_has_the_other_recipes_of_posec3d():
  table = _readme()
  for row in _ROWS:
    file, _, arguments = row.command.partition(':')
    if file.startswith('posec3d_mmaction'):
      column = ['posec3d_mmaction0x.py', 'posec3d_mmaction1x.py'].index(file)
      assert table[f'`{arguments}`'][column] == row.accuracy

"""docs/add_a_format.md, followed literally in a copy of the package."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = (ROOT / 'docs' / 'add_a_format.md').read_text(encoding='utf-8')
READER, USE = re.findall(r'^```python\n(.*?)^```', GUIDE, flags=re.M | re.S)
DIFF = re.search(r'^```diff\n(.*?)^```', GUIDE, flags=re.M | re.S)[1]
READER_PATH = re.search(r'^`(\S+/pose_txt\.py)`:$', GUIDE, flags=re.M)[1]
JOINTS = ' '.join(f'{10 * v}.5 {20 * v}.25 0.9' for v in range(1, 18))


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
  """A copy of the packages with the format of the guide."""
  path = tmp_path_factory.mktemp('clone')
  for package in ('skeljax', 'data_prep'):
    shutil.copytree(
      ROOT / package,
      path / package,
      ignore=shutil.ignore_patterns('__pycache__'),
    )
  (path / READER_PATH).write_text(READER, encoding='utf-8')
  registry = path / 'skeljax' / 'readers' / 'clip_formats.py'
  text = registry.read_text(encoding='utf-8')
  for line, added in re.findall(r'^ (.*\n)\+(.*\n)', DIFF, flags=re.M):
    assert text.count(line) == 1
    text = text.replace(line, line + added)
  assert text.count('pose_txt') == DIFF.count('pose_txt')
  registry.write_text(text, encoding='utf-8')
  return path


def run(clone, *arguments, cwd):
  done = subprocess.run(
    [sys.executable, *arguments],
    cwd=cwd,
    env=dict(os.environ, PYTHONPATH=str(clone)),
    capture_output=True,
    text=True,
    check=False,
  )
  return done.returncode, done.stdout + done.stderr


def test_the_clip_of_the_guide_is_read(clone, tmp_path):
  (tmp_path / 'walk.pose.txt').write_text(f'0 {JOINTS}\n1 {JOINTS}\n')
  status, output = run(clone, '-c', USE, cwd=tmp_path)
  assert status == 0, output


def test_a_damaged_file_is_reported_by_line(clone, tmp_path):
  (tmp_path / 'walk.pose.txt').write_text(f'0 {JOINTS}\n1 x {JOINTS}\n')
  status, output = run(clone, '-c', USE, cwd=tmp_path)
  assert status and 'ClipError: walk.pose.txt, line 2: ' in output


def test_clips_in_the_new_format_are_prepared(clone, tmp_path):
  for label in ('walk', 'sit'):
    (tmp_path / 'clips' / label).mkdir(parents=True)
    for i in range(3):
      path = tmp_path / 'clips' / label / f'{i}.pose.txt'
      path.write_text(f'0 {JOINTS}\n{i + 1} {JOINTS}\n')
  status, output = run(
    clone, '-m', 'data_prep.main', '--source=clips', '--input=clips',
    '--name=new', '--output=data', cwd=tmp_path,
  )  # fmt: skip
  assert status == 0, output
  assert 'layout coco, 2 classes' in output

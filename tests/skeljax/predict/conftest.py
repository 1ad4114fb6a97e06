"""Clips as files, and the command that is asked about them."""

from absl import flags
import numpy as np
import pytest

from skeljax import errors
from skeljax import pretrained
from skeljax.predict import __main__ as predict
from tests.skeljax.predict import toys


@pytest.fixture
def clip_2d(tmp_path):
  """Saves a clip of coco joints in a picture of 240 x 320."""

  def make(name='clip.npz', keypoint=None, **fields):
    keypoint = toys.persons_2d() if keypoint is None else keypoint
    fields.setdefault('img_shape', np.array([240, 320]))
    return toys.save(tmp_path / name, keypoint, **fields)

  return make


@pytest.fixture
def clip_3d(tmp_path):
  """Saves a clip of 25 joints, in metres unless scaled."""

  def make(name='clip3d.npz', scale=1.0, num_joints=25):
    body = np.tile(toys.BODY[:num_joints], (1, toys.FRAMES, 1, 1))
    return toys.save(tmp_path / name, (scale * body).astype(np.float32))

  return make


@pytest.fixture
def run(monkeypatch, capsys):
  """Runs the command on a checkpoint; its status and what it printed."""

  def command(loaded, *arguments):
    monkeypatch.setattr(pretrained, 'load', lambda path, step: loaded)
    values = flags.FlagValues()
    predict.define_flags(values)
    paths = values(['predict', '--checkpoint=runs/own', *arguments])[1:]
    status = predict.run(values, paths)
    out, err = capsys.readouterr()
    return status, out, err

  return command


@pytest.fixture
def refusal(run):
  """What the command says when it refuses; nothing may be computed."""

  def function(loaded, *arguments):
    with pytest.raises(errors.UserError) as error:
      run(loaded, *arguments)
    return str(error.value)

  return function

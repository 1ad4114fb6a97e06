"""Clips as files, and a function that runs the command on them."""

from absl import flags
import numpy as np
import pytest

from skeljax import errors
from skeljax import option
from skeljax import pretrained
from skeljax.predict import __main__ as predict
from skeljax.predict.options import Options
from tests.skeljax.predict import toys


@pytest.fixture
def clip_2d(tmp_path):
  """Save a clip of coco joints in an image of 240 x 320."""

  def make(name='clip.npz', keypoint=None, **fields):
    keypoint = toys.persons_2d() if keypoint is None else keypoint
    fields.setdefault('img_shape', np.array([240, 320]))
    return toys.save(tmp_path / name, keypoint, **fields)

  return make


@pytest.fixture
def clip_3d(tmp_path):
  """Save a clip of 25 joints, in metres unless scaled."""

  def make(name='clip3d.npz', scale=1.0, num_joints=25):
    body = np.tile(toys.BODY[:num_joints], (1, toys.FRAMES, 1, 1))
    return toys.save(tmp_path / name, (scale * body).astype(np.float32))

  return make


@pytest.fixture
def run(monkeypatch, capsys):
  """Run the command on a checkpoint; return its status and output."""

  def command(loaded, *arguments):
    monkeypatch.setattr(pretrained, 'load', lambda path, step: loaded)
    values = flags.FlagValues()
    option.define_flags(Options, flag_values=values)
    paths = values(['predict', '--checkpoint=runs/own', *arguments])[1:]
    status = predict.run(option.from_flags(Options, values), paths)
    out, err = capsys.readouterr()
    return status, out, err

  return command


@pytest.fixture
def error_of(run):
  """Run the command and return the message of its UserError."""

  def function(loaded, *arguments):
    with pytest.raises(errors.UserError) as error:
      run(loaded, *arguments)
    return str(error.value)

  return function

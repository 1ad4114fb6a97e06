"""The confusion matrix is drawn as a PNG without display or pyplot."""

import sys

import numpy as np
import pytest

from skeljax import errors


def test_png_size_grows_with_the_number_of_classes(tmp_path):
  pytest.importorskip('matplotlib')
  from matplotlib import image

  from skeljax.visualize import confusion

  before = 'matplotlib.pyplot' in sys.modules
  sizes = []
  for count in (3, 24):
    path = tmp_path / f'{count}.png'
    counts = np.eye(count, dtype=int) * 4
    counts[0] = 0  # A class without clips.
    counts[1, :2] = (1, 999)  # Less than one percent.
    names = [f'class {i}' for i in range(count)]
    confusion.save(path, counts, names, title='demo')
    sizes.append(image.imread(path).shape)
  assert sizes[1][0] > sizes[0][0]
  assert ('matplotlib.pyplot' in sys.modules) == before
  assert len(list(tmp_path.iterdir())) == 2


def test_number_of_names_must_match(tmp_path):
  pytest.importorskip('matplotlib')
  from skeljax.visualize import confusion

  with pytest.raises(errors.UserError, match='2 class names'):
    confusion.save(tmp_path / 'x.png', np.eye(3), ['a', 'b'])


def test_missing_matplotlib_raises(tmp_path, monkeypatch):
  from skeljax.visualize import confusion

  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  with pytest.raises(ModuleNotFoundError):
    confusion.save(tmp_path / 'x.png', np.eye(2), ['a', 'b'])

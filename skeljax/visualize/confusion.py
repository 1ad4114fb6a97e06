"""Confusion matrix as an image."""

from collections.abc import Sequence
import os

import numpy as np

from skeljax import atomic_file
from skeljax import errors

_MAX_CLASSES_WITH_NUMBERS = 20


def save(
  path: str | os.PathLike,
  confusion: np.ndarray,
  class_names: Sequence[str],
  *,
  title: str = '',
) -> None:
  """Draw the matrix as a PNG, each row in percent of its clips.

  Args:
    path: the .png to write.
    confusion: [classes, classes] counts; row is the label, column the
      prediction.
    class_names: one name per class.
    title: title of the figure.

  Raises:
    ModuleNotFoundError: matplotlib is not installed.
    UserError: the number of class names does not match.
  """
  # Without pyplot: no display is needed, no global state is changed.
  from matplotlib import colors
  from matplotlib import figure

  size = len(class_names)
  if np.shape(confusion) != (size, size):
    raise errors.UserError(
      f'{path}: {size} class names for a confusion matrix of shape'
      f' {np.shape(confusion)}.'
    )
  has_numbers = size <= _MAX_CLASSES_WITH_NUMBERS
  cell = 0.5 if has_numbers else 0.17  # Inches.
  font = 9 if has_numbers else 7
  canvas = figure.Figure(figsize=(size * cell, size * cell))
  axes = canvas.add_axes((0, 0, 1, 1))

  totals = np.sum(confusion, axis=1, keepdims=True)
  with np.errstate(invalid='ignore'):
    percent = 100 * np.asarray(confusion) / totals  # NaN without clips.
  axes.set_facecolor('0.85')
  # The square root makes confusions of a few percent visible.
  scale = colors.PowerNorm(0.5, vmin=0, vmax=100)
  image = axes.imshow(percent, cmap='Blues', norm=scale)
  if has_numbers:
    _write_numbers(axes, percent, font)

  axes.set_xticks(range(size), class_names, rotation=90, fontsize=font)
  row_names = [f'{n} ({int(t)})' for n, t in zip(class_names, totals[:, 0])]
  axes.set_yticks(range(size), row_names, fontsize=font)
  axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
  axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
  axes.grid(which='minor', color='0.9', linewidth=0.4)
  axes.tick_params(which='both', length=0)
  axes.set_xlabel('prediction', fontsize=font + 2)
  axes.set_ylabel('label (clips)', fontsize=font + 2)
  if title:
    axes.set_title(title, fontsize=font + 2)
  bar_width = 0.2 / (size * cell)
  bar = canvas.add_axes((1 + bar_width, 0, bar_width, 1))
  canvas.colorbar(image, cax=bar)
  bar.set_ylabel('% of the clips with this label', fontsize=font)
  bar.tick_params(labelsize=font)
  with atomic_file.replacing(path) as temporary:
    canvas.savefig(temporary, format='png', dpi=120, bbox_inches='tight')


def _write_numbers(axes, percent: np.ndarray, font: int) -> None:
  for row, column in np.argwhere(percent > 0):
    value = percent[row, column]
    axes.text(
      column,
      row,
      f'{value:.0f}' if value >= 0.5 else '<1',
      ha='center',
      va='center',
      fontsize=font,
      color='white' if value > 35 else 'black',
    )

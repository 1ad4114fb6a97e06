"""Random scores for the tests of score dumps."""

import pickletools

import numpy as np
import torch

from skeljax import score_file
from skeljax.convert import score_dump
from skeljax.training import metrics

NUM_SAMPLES, NUM_CLASSES = 30, 7
LABELS = tuple(i * 3 % NUM_CLASSES for i in range(NUM_SAMPLES))
SOURCE = score_dump.Source(
  name='ntu60_xsub_3d, split val',
  ids=tuple(f'S001A{i:03d}' for i in range(NUM_SAMPLES)),
  labels=LABELS,
  class_names=tuple(f'class {i}' for i in range(NUM_CLASSES)),
)


def draw_logits(seed, num_clips=3):
  rng = np.random.RandomState(seed)
  logits = rng.randn(NUM_SAMPLES, num_clips, NUM_CLASSES)
  logits += 0.7 * np.eye(NUM_CLASSES)[list(LABELS)][:, None]
  return logits.astype(np.float32)


def make_score_set(seed):
  return score_file.ScoreSet(
    ids=SOURCE.ids,
    scores=np.asarray(metrics.average_clips(draw_logits(seed), 'prob')),
    labels=np.array(LABELS),
    class_names=SOURCE.class_names,
    average='prob',
  )


def samples_of(seed=4):
  """Return the samples of a valid 1.x dump."""
  return [
    {
      'num_classes': NUM_CLASSES,
      'gt_label': torch.tensor([label]),
      'pred_score': torch.tensor(row),
      'pred_label': torch.tensor([int(row.argmax())]),
    }
    for row, label in zip(make_score_set(seed).scores, LABELS)
  ]


def operations_of(data):
  return [
    (operation.name, argument if operation.name == 'GLOBAL' else None)
    for operation, argument, _ in pickletools.genops(data)
  ]

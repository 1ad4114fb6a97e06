"""Select the persons of a clip to keep."""

import numpy as np


def select_persons(
  keypoint: np.ndarray, score: np.ndarray | None, max_persons: int
) -> tuple[np.ndarray, np.ndarray | None, int]:
  """Keep the persons with the most motion.

  Args:
    keypoint: [M, T, V, C].
    score: [M, T, V] or None.
    max_persons: number of persons to keep.

  Returns:
    Keypoints and scores of at most `max_persons` persons, by decreasing motion
    energy (unchanged if there are no more than that), and the number of
    non-zero persons that were dropped.

  Source: motion energy of mmaction2's NTU generator: standard deviation over
  the joints and frames in which the person is present (coordinates do not sum
  to zero), summed over x, y and z. Here over all channels.
  """
  if len(keypoint) <= max_persons:
    return keypoint, score, 0
  energy = [_motion_energy(person) for person in keypoint]
  # A reversed ascending sort: of equal energies the later person comes first.
  order = np.argsort(energy, kind='stable')[::-1]
  kept, dropped = order[:max_persons], order[max_persons:]
  num_dropped = int(keypoint[dropped].any(axis=(1, 2, 3)).sum())
  return keypoint[kept], None if score is None else score[kept], num_dropped


def _motion_energy(person: np.ndarray) -> float:
  person = person.astype(np.float64)
  present = person[person.sum(axis=(1, 2)) != 0]
  return float(present.std(axis=(0, 1)).sum()) if len(present) else 0.0

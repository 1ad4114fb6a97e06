"""Write demo motions as a pose estimator would: one JSON file per clip, and a CSV.

    python -m data_prep.demo.clips --output=my_clips

The files have the format of MMPose's inferencer; labels.csv has the action and
the subject of each. docs/your_own_data.md uses them in place of your own clips.
"""

from collections.abc import Mapping, Sequence
import csv
import json
import os
import re
from typing import Any

from absl import flags
import numpy as np

from data_prep.demo import annotations as demo
from skeljax import atomic_file
from skeljax import cli
from skeljax import errors

LABELS = 'labels.csv'
# Decimal places of pixels and scores; more would be noise.
_PIXEL_DIGITS, _SCORE_DIGITS = 1, 3
_BOX_MARGIN = 0.1  # Margin of a detector's box around the joints, relative.


def write_clips(directory: str, clips_per_action: int, seed: int = 0) -> int:
  """Write clips of every demo action, 17 COCO joints in pixels, and a CSV.

  Args:
    directory: created if missing; files of the same names are replaced.
    clips_per_action: from 1 to the number of training clips of the demo.
    seed: the same seed gives the same bytes.

  Returns:
    The number of clips.

  Raises:
    UserError: the demo does not have so many clips.
  """
  most = demo.CLIPS['train']
  if not 1 <= clips_per_action <= most:
    raise errors.UserError(
      f'--clips_per_action={clips_per_action}: expected 1 to {most}.'
    )
  content = demo.make_annotations('coco', seed)
  names = content['label_names']
  # Training clips are first, interleaved by action.
  chosen = content['annotations'][: clips_per_action * len(names)]
  rows = []
  for clip in chosen:
    file = clip['frame_dir'] + '.json'
    with atomic_file.replacing(os.path.join(directory, file)) as temporary:
      with open(temporary, 'w', encoding='utf-8') as f:
        json.dump(_predictions(clip), f)
    (subject,) = re.findall(r'P\d+', clip['frame_dir'])
    rows.append((file, names[clip['label']], subject))
  with atomic_file.replacing(os.path.join(directory, LABELS)) as temporary:
    with open(temporary, 'w', encoding='utf-8', newline='') as f:
      csv.writer(f).writerows([('file', 'label', 'subject'), *rows])
  return len(chosen)


def _predictions(clip: Mapping[str, Any]) -> list[dict[str, Any]]:
  """A list of frames, each with the detected persons.

  Source: MMPose 1.x, the output of MMPoseInferencer for a video:
  `split_instances` per frame, boxes as [[left, top, right, bottom]]. It has
  neither track ids nor the image size.
  """
  frames = []
  for index in range(clip['total_frames']):
    persons = zip(
      clip['keypoint'][:, index].astype(np.float64),
      clip['keypoint_score'][:, index].astype(np.float64),
      strict=True,
    )
    instances = [_instance(p, s) for p, s in persons if s.any()]
    frames.append({'frame_id': index, 'instances': instances})
  return frames


def _instance(points: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
  """One person in one frame: points [V, 2] in pixels, scores [V]."""
  low, high = points.min(0), points.max(0)
  margin = _BOX_MARGIN * (high - low)
  box = np.concatenate([low - margin, high + margin])
  return {
    'keypoints': points.round(_PIXEL_DIGITS).tolist(),
    'keypoint_scores': scores.round(_SCORE_DIGITS).tolist(),
    'bbox': [box.round(_PIXEL_DIGITS).tolist()],
    'bbox_score': round(float(scores.mean()), _SCORE_DIGITS),
  }


def define_flags() -> None:
  """Define the flags of `python -m data_prep.demo.clips`."""
  flags.DEFINE_string('output', None, 'Folder to write the clips to.')
  flags.DEFINE_integer('clips_per_action', 40, 'Clips per action.')
  flags.DEFINE_integer('seed', 0, 'Random seed.')


def main(argv: Sequence[str]) -> int:
  """Write the clips of the flags."""
  del argv
  args = flags.FLAGS
  if not args.output:
    raise errors.UserError(
      '--output is missing, for example --output=my_clips.'
    )
  count = write_clips(args.output, args.clips_per_action, args.seed)
  height, width = demo.IMAGE_SHAPE
  print(
    f'wrote {count} clips of {len(demo.ACTIONS)} actions and {LABELS} to'
    f' {args.output}; --img_shape={height}x{width}'
  )
  return 0


if __name__ == '__main__':
  cli.run(main, define_flags)

"""A run: what follows from a config and a DataSpec."""

import pytest

from configs import agcn_ctrgcn
from configs import agcn_mmaction1x
from skeljax import run as run_lib
from skeljax import skeletons
from skeljax.datasets.spec import DataSpec

SPEC = DataSpec(
  layout=skeletons.LAYOUTS['ucla'],
  class_names=('a', 'b'),
  num_channels=3,
  num_persons=1,
  normalize='none',
  keypoint_dtype='float32',
  max_frames=10,
)


@pytest.mark.parametrize(
  'recipe, needed', [(agcn_ctrgcn, True), (agcn_mmaction1x, False)]
)
def test_frames_are_taken_on_the_device_only_if_the_input_needs_whole_clips(
  recipe, needed
):
  run = run_lib.Run(recipe.get_config(), SPEC)
  assert run.input.needs_whole_clip == needed
  assert run.sampling().whole_clip == needed
  assert run.sampling().max_frames == needed * SPEC.max_frames

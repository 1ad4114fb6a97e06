"""What a configuration and the facts of a dataset may not contradict."""

import pytest

from configs import agcn_joint
from skeljax import errors
from skeljax import recipe
from skeljax import skeletons

FACTS = recipe.Facts(
  layout=skeletons.LAYOUTS['ucla'],
  class_names=('a', 'b'),
  num_channels=3,
  has_score=False,
  num_persons=1,
  normalize='none',
  keypoint_dtype='float32',
  max_frames=10,
)


@pytest.mark.parametrize('words, needed', [('ucla', True), ('u100', False)])
def test_whole_clips_go_with_the_features_that_need_them(words, needed):
  config = agcn_joint.get_config(words)
  assert recipe.feature_options(config, FACTS).needs_whole_clip == needed
  config.data.whole_clip = not needed
  with pytest.raises(
    errors.UserError, match=f'Give --config.data.whole_clip={needed}'
  ):
    recipe.feature_options(config, FACTS)

"""What a configuration and the facts of a dataset may not contradict."""

import pytest

from configs import agcn_ctrgcn
from configs import agcn_mmaction1x
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


@pytest.mark.parametrize(
  'published, needed', [(agcn_ctrgcn, True), (agcn_mmaction1x, False)]
)
def test_whole_clips_go_with_the_features_that_need_them(published, needed):
  config = published.get_config()
  assert recipe.feature_options(config, FACTS).needs_whole_clip == needed
  config.data.whole_clip = not needed
  with pytest.raises(
    errors.UserError, match=f'Give --config.data.whole_clip={needed}'
  ):
    recipe.feature_options(config, FACTS)

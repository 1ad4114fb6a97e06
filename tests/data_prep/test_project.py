"""--project: 2D datasets of 3D annotations."""

import numpy as np
import pytest

from skeljax import errors
from skeljax.datasets import prepared
from skeljax.datasets import project


def test_3d_clips_become_a_2d_dataset(
  make_items, write_pickle, make_options, run
):
  items = make_items(4)
  items[1]['keypoint'][0, 1] = 0
  options = make_options(write_pickle(items), project='orthographic')
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert (dataset.spec.num_channels, dataset.spec.has_score) == (2, True)
  assert dataset.spec.has_img_shape and dataset.spec.keypoint_dtype == 'float32'
  assert dataset.spec.layout.name == 'nturgb+d'
  assert dataset.spec.project == 'orthographic'
  for split in prepared.SPLITS:
    for record in dataset.source(split):
      item = items[record['position']]
      pixels, score, img_shape = project.orthographic(item['keypoint'])
      np.testing.assert_array_equal(record['keypoint'], pixels)
      np.testing.assert_array_equal(record['keypoint_score'], score)
      np.testing.assert_array_equal(record['img_shape'], img_shape)
      seen = pixels[score > 0]
      box = np.concatenate([seen.min(0), seen.max(0)])
      np.testing.assert_array_equal(record['box'], box)


def test_projection_is_part_of_the_fingerprint(
  make_items, write_pickle, make_options, run
):
  path = write_pickle(make_items(4))
  run(make_options(path, project='orthographic'))
  with pytest.raises(
    errors.UserError, match='project was "orthographic", is "none"'
  ):
    run(make_options(path))


@pytest.mark.parametrize(
  'shape, changes, words',
  [
    ((1, 3, 25, 2), {}, 'has 2D keypoints'),
    ((1, 3, 25, 3), dict(normalize='mmaction1x'), 'exclude each other'),
    ((1, 3, 25, 3), dict(project='perspective'), 'none, orthographic'),
  ],
)
def test_invalid_projections_are_explained(
  shape, changes, words, make_item, write_pickle, make_options, run
):
  items = [make_item(f'clip{i}', i, shape) for i in range(3)]
  changes = {'project': 'orthographic', **changes}
  with pytest.raises(errors.UserError, match=words):
    run(make_options(write_pickle(items), **changes))


@pytest.mark.parametrize('num_unknown', [0, 1])
def test_has_img_shape_if_all_clips_have_one(
  num_unknown, make_item, write_pickle, make_options, run
):
  items = [
    make_item(f'clip{i}', i, (1, 3, 17, 2), img_shape=(320, 240))
    for i in range(3)
  ]
  for item in items[:num_unknown]:
    item.pop('img_shape')
  options = make_options(write_pickle(items), layout='coco')
  run(options)
  dataset = prepared.open_dataset(options.output, 'tiny')
  assert dataset.spec.has_img_shape == (num_unknown == 0)

"""Score dumps from and to mmaction2, and invalid ones."""

import collections
import pickle

from mmaction import evaluation
from mmaction import structures
from mmaction.models import heads
import mmengine
from mmengine import evaluator as evaluators
import numpy as np
import pytest
import score_dumps
import torch

from skeljax import errors
from skeljax import fuse
from skeljax.convert import score_dump
from skeljax.training import metrics


def test_by_mmaction2(path, logits, average='prob'):
  """Run what `test.py --dump` runs after the backbone."""
  head = heads.GCNHead(score_dumps.NUM_CLASSES, 8, average_clips=average)
  tester = evaluators.Evaluator([evaluators.DumpResults(str(path))])
  # In batches, of which every sample's tensors are views.
  for start in range(0, score_dumps.NUM_SAMPLES, 8):
    samples = [
      structures.ActionDataSample(
        metainfo={'img_shape': (1080, 1920)}
      ).set_gt_label(label)
      for label in score_dumps.LABELS[start : start + 8]
    ]
    views = torch.tensor(logits[start : start + 8]).flatten(0, 1)
    tester.process(head.predict_by_feat(views, samples), None)
  tester.evaluate(score_dumps.NUM_SAMPLES)
  return path


# A helper with the name of mmaction2's command, not a test.
test_by_mmaction2.__test__ = False


@pytest.mark.parametrize('average', ['prob', 'score'])
def test_dump_of_mmaction2_is_read(average, tmp_path):
  logits = score_dumps.draw_logits(0)
  path = test_by_mmaction2(tmp_path / 'joint.pkl', logits, average)
  scores = score_dump.read(path, score_dumps.SOURCE)
  expected = mmengine.load(path)
  np.testing.assert_array_equal(
    scores.scores, torch.stack([s['pred_score'] for s in expected])
  )
  np.testing.assert_allclose(
    scores.scores, metrics.average_clips(logits, average), atol=1e-6
  )
  assert scores.average == average
  assert (scores.ids, scores.class_names) == (
    score_dumps.SOURCE.ids,
    score_dumps.SOURCE.class_names,
  )
  np.testing.assert_array_equal(scores.labels, score_dumps.LABELS)
  assert scores.scores.dtype == np.float32


def test_our_dump_is_that_of_mmaction2(tmp_path):
  path = test_by_mmaction2(tmp_path / 'theirs.pkl', score_dumps.draw_logits(0))
  score_dump.write(
    tmp_path / 'ours.pkl', score_dump.read(path, score_dumps.SOURCE)
  )
  ours, theirs = mmengine.load(tmp_path / 'ours.pkl'), mmengine.load(path)
  assert len(ours) == len(theirs)
  for sample, expected in zip(ours, theirs):
    del expected['img_shape']  # Whatever the pipeline happens to carry.
    # mmengine keeps the names in a set: their order is chance.
    assert sample.keys() == expected.keys()
    for name, value in expected.items():
      assert type(sample[name]) is type(value)
      if isinstance(value, torch.Tensor):
        assert sample[name].dtype == value.dtype
        assert torch.equal(sample[name], value)
      else:
        assert sample[name] == value
  # The same operations as mmengine.dump; torch writes addresses in between.
  mmengine.dump(ours, tmp_path / 'again.pkl')
  ours, again = (tmp_path / f for f in ('ours.pkl', 'again.pkl'))
  assert score_dumps.operations_of(
    ours.read_bytes()
  ) == score_dumps.operations_of(again.read_bytes())


def test_round_trip_is_exact(tmp_path):
  score_set = score_dumps.make_score_set(1)
  score_dump.write(tmp_path / 'a.pkl', score_set)
  again = score_dump.read(tmp_path / 'a.pkl', score_dumps.SOURCE)
  np.testing.assert_array_equal(again.scores, score_set.scores)
  assert (again.ids, again.average) == (score_set.ids, 'prob')


def fuse_as_report_accuracy(paths, coefficients):
  """Fuse like tools/analysis_tools/report_accuracy.py of mmaction2."""
  dumps = [mmengine.load(path) for path in paths]
  scores = [[sample['pred_score'].numpy() for sample in d] for d in dumps]
  labels = [sample['gt_label'].item() for sample in dumps[0]]
  weighted = evaluation.get_weighted_score(scores, coefficients)
  return {
    'top1': evaluation.top_k_accuracy(weighted, labels, (1,))[0],
    'top5': evaluation.top_k_accuracy(weighted, labels, (5,))[0],
    'mean_class': evaluation.mean_class_accuracy(weighted, labels),
  }


@pytest.mark.parametrize('weights', [(1.0, 1.0), (2.0, 1.0)], ids=str)
def test_fusion_across_frameworks_has_the_same_accuracy(weights, tmp_path):
  """Joint scores of mmaction2 and bone scores of skeljax, fused by both."""
  joint = test_by_mmaction2(tmp_path / 'joint.pkl', score_dumps.draw_logits(2))
  bone = tmp_path / 'bone.pkl'
  score_dump.write(bone, score_dumps.make_score_set(3))
  fused, _ = fuse.fuse(
    {
      'joint': score_dump.read(joint, score_dumps.SOURCE),
      'bone': score_dumps.make_score_set(3),
    },
    weights,
  )
  figures = metrics.accuracies(fused.scores, fused.labels)
  assert 0.3 < figures['top1'] < 1
  assert figures == pytest.approx(
    fuse_as_report_accuracy([joint, bone], weights), rel=1e-12
  )


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize('variant', ['0.x', '1.0', '1.x', 'half', 'ordered'])
def test_every_variant_of_a_dump_is_read(variant, protocol, tmp_path):
  samples, tolerance = score_dumps.samples_of(), 0
  expected = np.stack([s['pred_score'].numpy() for s in samples])
  if variant == '0.x':
    samples = [s['pred_score'].numpy() for s in samples]
  elif variant == '1.0':
    samples = [
      {
        'pred_scores': {'item': s['pred_score']},
        'gt_labels': {'item': s['gt_label']},
      }
      for s in samples
    ]
  elif variant == 'half':
    for i, s in enumerate(samples):
      dtype = torch.bfloat16 if i % 2 else torch.float16
      s['pred_score'] = s['pred_score'].to(dtype)
    tolerance = 4e-3
  elif variant == 'ordered':
    samples = [collections.OrderedDict(s) for s in samples]
  path = tmp_path / 'a.pkl'
  path.write_bytes(pickle.dumps(samples, protocol))
  scores = score_dump.read(path, score_dumps.SOURCE)
  np.testing.assert_allclose(scores.scores, expected, atol=tolerance)
  assert scores.average == 'prob'
  np.testing.assert_array_equal(scores.labels, score_dumps.LABELS)


def test_views_of_a_larger_tensor_are_read(tmp_path):
  whole = torch.arange(
    2 * score_dumps.NUM_SAMPLES * score_dumps.NUM_CLASSES, dtype=torch.float64
  )
  whole = whole.reshape(score_dumps.NUM_CLASSES, 2, score_dumps.NUM_SAMPLES)
  samples = [whole[:, 1, i] for i in range(score_dumps.NUM_SAMPLES)]
  mmengine.dump([{'pred_score': s} for s in samples], tmp_path / 'a.pkl')
  scores = score_dump.read(tmp_path / 'a.pkl', score_dumps.SOURCE)
  np.testing.assert_array_equal(scores.scores, whole[:, 1].T.float())
  assert scores.average == 'score'


def invalid(name):
  """Return a dump with one error."""
  samples = score_dumps.samples_of()
  fifth = samples[5]
  if name == 'no list':
    return {'scores': samples}
  if name == 'nothing':
    return []
  if name == 'one missing':
    return samples[1:]
  if name == 'other order':
    return samples[::-1]
  if name == 'no scores':
    del fifth['pred_score']
  elif name == 'two inputs':
    fifth['pred_score'] = {'rgb': torch.ones(7), 'pose': torch.ones(7)}
  elif name == 'views':
    fifth['pred_score'] = torch.ones(10, score_dumps.NUM_CLASSES)
  elif name == 'other classes':
    fifth['pred_score'] = torch.ones(60)
  elif name == 'stated classes':
    fifth['num_classes'] = 60
  elif name == 'not finite':
    fifth['pred_score'][3] = float('nan')
  elif name == 'too large':
    fifth['pred_score'] = torch.full(
      (score_dumps.NUM_CLASSES,), 1e300, dtype=torch.float64
    )
  elif name == 'several labels':
    fifth['gt_label'] = torch.tensor([1, 2])
  elif name == 'integers':
    fifth['pred_score'] = torch.ones(score_dumps.NUM_CLASSES, dtype=torch.int64)
  elif name == 'words':
    fifth['pred_score'] = 'high'
  return samples


@pytest.mark.parametrize(
  'name, words',
  [
    ('no list', 'contains a dict, not a list of samples'),
    ('nothing', 'not a list of samples'),
    ('one missing', 'contains 29 samples, but ntu60_xsub_3d, split val has 30'),
    (
      'other order',
      r'2[0-9] of 30 samples differ from ntu60_xsub_3d, split val; sample 0'
      r' \(S001A000\) has 3 in the dump and 0 in the data',
    ),
    ('no scores', r'sample 5 \(S001A005\) has no pred_score, only num_classes'),
    ('two inputs', r'sample 5 .* several scores \(rgb, pose\)'),
    ('views', r'sample 5 .* shape \[10, 7\].* Average the views'),
    ('other classes', 'sample 5 .* has 60 classes, but the dataset has 7'),
    ('stated classes', 'sample 5 .* has 60 classes, but the dataset has 7'),
    ('not finite', 'sample 5 .* not finite'),
    ('too large', 'sample 5 .* not finite'),
    ('several labels', r'sample 5 .* gt_label of int64 \[2\]'),
    ('integers', 'sample 5 .* expected a vector of scores'),
    ('words', 'sample 5 .* has a str, expected a vector'),
  ],
)
def test_an_invalid_dump_is_an_error(name, words, tmp_path):
  path = tmp_path / 'joint.pkl'
  path.write_bytes(pickle.dumps(invalid(name)))
  with pytest.raises(errors.UserError, match=words) as raised:
    score_dump.read(path, score_dumps.SOURCE)
  assert str(path) in str(raised.value) and '\n' not in str(raised.value)

"""A whole run: it learns, stops, resumes and reports errors."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from skeljax import errors
from skeljax import run as run_lib
from skeljax import score_file
from skeljax import scoring
from skeljax import train
from skeljax.training import checkpoints
from skeljax.training import preemption

_REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def _lines(workdir):
  with open(os.path.join(workdir, 'metrics.jsonl'), encoding='utf-8') as f:
    return [json.loads(line) for line in f]


def _leaves(state):
  return [
    np.asarray(leaf)
    for leaf in jax.tree.leaves((state.variables, state.opt_state))
  ]


@pytest.fixture(scope='module')
def straight_run(new_tiny_config, tmp_path_factory):
  workdir = str(tmp_path_factory.mktemp('straight'))
  return workdir, train.train(new_tiny_config(), workdir)


def test_run_writes_the_documented_files(straight_run):
  workdir, result = straight_run
  for name in (
    'config.json',
    'manifest.json',
    'metrics.jsonl',
    'results.json',
    'scores_val.npz',
    'per_class_accuracy.csv',
    'confusion_matrix.png',
    'checkpoints',
  ):
    assert os.path.exists(os.path.join(workdir, name)), name
  assert not result.interrupted
  assert {line['split'] for line in _lines(workdir)} == {'train', 'val'}


def test_interrupted_and_resumed_run_is_the_straight_run_bit_for_bit(
  straight_run, tiny_config, tmp_path, monkeypatch
):
  workdir = str(tmp_path / 'run')
  monkeypatch.setattr(
    preemption.StopSignal, 'reached', lambda _, step: step == 4
  )
  stopped = train.train(tiny_config, workdir)
  assert stopped.interrupted and int(stopped.state.step) == 4
  monkeypatch.undo()
  with open(os.path.join(workdir, 'metrics.jsonl'), 'a') as f:
    f.write('{"step": 7, "split": "train", "loss": 1e9}\n{"step": 8, "spl')
  resumed = train.train(tiny_config, workdir)
  assert int(resumed.state.step) == int(straight_run[1].state.step)
  for a, b in zip(_leaves(resumed.state), _leaves(straight_run[1].state)):
    np.testing.assert_array_equal(a, b)
  assert resumed.summary == straight_run[1].summary
  # The lines beyond the restored step were cut, and written again.
  losses = [
    [line['loss'] for line in _lines(w)] for w in (workdir, straight_run[0])
  ]
  assert losses[0] == losses[1]


def test_second_run_reports_done_and_changes_nothing(straight_run, tiny_config):
  workdir, first = straight_run
  before = _lines(workdir)
  again = train.train(tiny_config, workdir)
  assert again.was_done
  assert again.summary['top1'] == first.summary['top1']
  assert _lines(workdir) == before


def test_checkpoint_is_self_contained(straight_run):
  workdir, _ = straight_run
  with checkpoints.Checkpoints(workdir, read_only=True) as saved:
    meta = saved.read_meta(saved.latest_step)
    assert saved.find_step('best') in saved.steps
  assert meta['config']['input']['stream'] == 'bone'
  assert meta['spec']['layout']['name'] == 'nturgb+d'
  assert len(meta['spec']['class_names']) == 3
  assert meta['config']['data']['clip_len'] == 8


def test_evaluate_command_repeats_the_final_scores(straight_run, tmp_path):
  # Another batch size and device count: other padding, the same clips.
  workdir, result = straight_run
  output = tmp_path / 'scores.npz'
  done = subprocess.run(
    [sys.executable, '-m', 'skeljax.evaluate', f'--checkpoint={workdir}',
     f'--output={output}', '--batch_size=9'],
    cwd=_REPOSITORY, capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert done.returncode == 0, done.stderr
  assert f'top-1 {100 * result.summary["top1"]:.2f} %' in done.stdout
  again = score_file.read(str(output))
  final = score_file.read(os.path.join(workdir, 'scores_val.npz'))
  assert again.ids == final.ids
  assert list(again.ids) == [f'clip{i:03d}' for i in range(22, 31)]
  np.testing.assert_allclose(again.scores, final.scores, atol=1e-5)


def test_dataset_of_other_classes_does_not_fit_a_checkpoint(tiny_config):
  dataset = run_lib.open_dataset(tiny_config)
  spec = dataset.spec
  assert not spec.differences(spec)
  names = ('walk', *spec.class_names[1:])
  renamed = dataclasses.replace(spec, class_names=names)
  assert spec.differences(renamed) == ["class 0 is 'class_0', expected 'walk'"]
  fewer = dataclasses.replace(spec, class_names=names[:2])
  assert spec.differences(fewer) == ['number of classes is 3, expected 2']


def test_workdir_of_another_config_lists_what_differs(
  straight_run, tiny_config
):
  workdir, _ = straight_run
  tiny_config.optim.base_lr = 0.5
  tiny_config.seed = 3
  with pytest.raises(errors.UserError) as caught:
    train.train(tiny_config, workdir)
  text = str(caught.value)
  assert 'optim.base_lr: 0.05 there, 0.5 here' in text
  assert 'seed: 0 there, 3 here' in text


def test_non_finite_loss_stops_with_step_rate_and_checkpoint(
  tiny_config, tmp_path
):
  tiny_config.optim.base_lr = 1e30
  tiny_config.model.update(num_stages=1, inflate_stages=(), down_stages=())
  with pytest.raises(errors.UserError) as caught:
    train.train(tiny_config, str(tmp_path))
  text = str(caught.value)
  assert 'at step' in text
  assert 'learning rate' in text
  assert 'last good checkpoint: none' in text


def test_batch_size_that_norm_groups_do_not_divide_is_refused(
  tiny_config, tmp_path
):
  tiny_config.model.norm_group = 3
  with pytest.raises(errors.UserError, match='multiple of 3'):
    train.train(tiny_config, str(tmp_path))


@pytest.mark.parametrize(
  'field, value, message',
  [
    ('data.frames', 'best', 'data.frames=best: expected one of'),
    ('eval.average', 'best', 'eval.average=best: .*prob'),
    ('eval.mirrored', True, 'only heatmaps have flipped'),
    ('model.variant', 'best', 'variant'),
  ],
)
def test_invalid_settings_leave_no_workdir_that_would_refuse_the_corrected_command(
  tiny_config, tmp_path, field, value, message
):
  tiny_config.update_from_flattened_dict({field: value})
  with pytest.raises(errors.UserError, match=message):
    train.train(tiny_config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_other_normalization_prints_the_command(tiny_config, tmp_path):
  tiny_config.data.normalize = 'mmaction0x'
  with pytest.raises(errors.UserError) as caught:
    train.train(tiny_config, str(tmp_path))
  assert '--normalize=none' in str(caught.value)
  assert 'python -m data_prep.main' in str(caught.value)


def test_training_clips_are_memorized(tiny_config, tmp_path):
  tiny_config.train.update(epochs=30.0, log_every_steps=20)
  tiny_config.eval.every_epochs = 0.0
  tiny_config.checkpoint.every_epochs = 0.0
  result = train.train(tiny_config, str(tmp_path))
  dataset = run_lib.open_dataset(tiny_config)
  evaluator = scoring.Evaluator(
    run_lib.Run(tiny_config, dataset.spec), dataset, split='train'
  )
  scores = evaluator(result.state.variables)
  assert scores.index.tolist() == list(range(dataset.num_clips['train']))
  assert scores.summary()['top1'] == 1.0

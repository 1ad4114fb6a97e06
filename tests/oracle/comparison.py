"""Runs both networks on the same input and measures the difference.

One run gives logits in evaluation and in training mode, the gradient of every
parameter and of the input, and the BatchNorm statistics after the step, all
under the published names. skeljax runs once with each form of its kernels: the
plain one, which GPUs and TPUs use, and the one for the CPU.

Distances. d(a, b) of a tensor is max |a - b| / scale, where scale is the
largest magnitude in the exact tensors, those of PyTorch in float64. A gradient
that vanishes in exact arithmetic (of a bias before a BatchNorm, say) has no
digits of its own: float64 shows it as 1e-16 of its neighbours, and its scale is
the largest gradient of its block.

Claims. In float64 both networks agree to 1e-9: they compute the same function.
In float32 they agree to 1e-5, or else the distance of skeljax from the exact
result is at most 8 times that of PyTorch's float32: sums that cancel (of an
attention over a whole clip, of a scale that the next BatchNorm undoes) leave a
gradient fewer digits. (Over all tensors it is 1.4 times, from the Fourier form
of the temporal convolution; single numbers scatter.) PyTorch's distance is the
largest over all tensors of the same name in the network, and every distance is
the largest over several inputs.
"""

from collections.abc import Callable, Mapping, Sequence
import functools
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import kinks
import networks
import numpy as np
import torch

from skeljax.models import kernels
from tests import compiling

# Forms of the kernels.
FORMS = ('plain', 'cpu')
# A gradient below this part of its block's largest, in float64, is zero.
_VANISHING = 1e-10
# Gradients that a tie makes ambiguous.
_AMBIGUOUS = ('the input', '.A', '.PA')
DOUBLE_LIMIT, SINGLE_LIMIT, FACTOR = 1e-9, 1e-5, 8
# First word of a tensor's name -> column in the report.
KINDS = {
  'logits': 'forward',
  'gradient': 'gradient',
  'statistic': 'BatchNorm state',
}

Results = Mapping[str, np.ndarray]


class Distances(NamedTuple):
  """Distance between runs for each tensor, the largest over the inputs.

  Attributes:
    double: d of both in float64.
    single: d of both in float32.
    ours: d of our float32 from the exact tensor.
    theirs: d of PyTorch's float32 from the exact tensor.
  """

  double: dict[str, float]
  single: dict[str, float]
  ours: dict[str, float]
  theirs: dict[str, float]


def run_theirs(
  pair: networks.Pair, x: np.ndarray, dlogits: np.ndarray, dtype: type
) -> Results:
  """Return PyTorch's results; groups run separately, as published GPUs do."""
  kind = {np.float32: torch.float32, np.float64: torch.float64}[dtype]
  network = pair.theirs.to(kind)
  start = {n: t.clone() for n, t in network.state_dict().items()}
  x_all = torch.from_numpy(x).to(kind)
  dlogits = torch.from_numpy(dlogits).to(kind)
  with torch.no_grad():
    results = {'logits (eval)': network.eval()(x_all)}
  network.train()
  size = pair.config.norm_group or len(x)
  groups = len(x) // size
  gradients, statistics, logits, dx = {}, {}, [], []
  for i in range(groups):
    rows = slice(i * size, (i + 1) * size)
    network.load_state_dict(start)
    network.zero_grad(set_to_none=True)
    x_group = x_all[rows].clone().requires_grad_()
    y = network(x_group)
    y.backward(dlogits[rows])
    logits.append(y.detach())
    dx.append(x_group.grad)
    for name, parameter in network.named_parameters():
      # The loss is a sum over clips, so gradients of groups add up.
      gradients[name] = gradients.get(name, 0) + parameter.grad
    for name, buffer in network.named_buffers():
      if 'running' in name:
        statistics[name] = statistics.get(name, 0) + buffer / groups
  network.load_state_dict(start)
  network.to(torch.float32)
  results['logits (train)'] = torch.cat(logits)
  results['gradient of the input'] = torch.cat(dx)
  results |= {f'gradient of {n}': g for n, g in gradients.items()}
  results |= {f'statistic {n}': s for n, s in statistics.items()}
  return {n: t.numpy() for n, t in results.items()}


@functools.cache
def _our_function(model, dtype: type, form: str):
  """Compile once per model, precision, form and shape."""

  def by_platform(*args, plain, **forms):
    return forms.get(form, plain)(*args)

  @mock.patch.object(kernels, 'by_platform', by_platform)
  def run(variables, x, dlogits):
    def forward(params, x):
      logits, updates = model.apply(
        {**variables, 'params': params}, x, train=True, mutable=['batch_stats']
      )
      return logits, updates.get('batch_stats', {})

    logits, backward, statistics = jax.vjp(
      forward, variables['params'], x, has_aux=True
    )
    params, dx = backward(dlogits)
    return model.apply(variables, x), logits, dx, params, statistics

  del dtype  # Part of the key of the cache.
  return jax.jit(run, compiler_options=compiling.FAST_COMPILE)


def run_ours(
  pair: networks.Pair,
  x: np.ndarray,
  dlogits: np.ndarray,
  dtype: type,
  form: str,
) -> Results:
  """Return the same results from skeljax with one form of its kernels."""
  with jax.enable_x64(dtype is np.float64):
    variables, x, dlogits = jax.tree.map(
      lambda a: jnp.asarray(a, dtype), (dict(pair.variables), x, dlogits)
    )
    evaluated, logits, dx, params, statistics = jax.device_get(
      _our_function(pair.model, dtype, form)(variables, x, dlogits)
    )
  results = {
    'logits (eval)': evaluated,
    'logits (train)': logits,
    'gradient of the input': dx,
  }
  gradients = pair.to_torch({'params': params})
  results |= {f'gradient of {n}': g for n, g in gradients.items()}
  statistics = pair.to_torch({'batch_stats': statistics})
  results |= {
    f'statistic {n}': s for n, s in statistics.items() if 'running' in n
  }
  return results


def scales(exact: Sequence[Results]) -> dict[str, float]:
  """Return the scale of each tensor; see the module docstring."""
  largest = {
    name: max(float(np.abs(results[name]).max()) for results in exact)
    for name in exact[0]
  }
  blocks: dict[str, float] = {}
  for name, value in largest.items():
    block = _block(name)
    blocks[block] = max(blocks.get(block, 0.0), value)
  return {
    name: value
    if value > _VANISHING * blocks[_block(name)]
    else blocks[_block(name)]
    for name, value in largest.items()
  }


def _block(name: str) -> str:
  """Return 'gradient of backbone.gcn.3' for a gradient, otherwise the name."""
  if not name.startswith('gradient of ') or '.' not in name:
    return name
  return '.'.join(name.split('.')[:3])


def distances(a: Results, b: Results, scale: Mapping[str, float]):
  """Return d(a, b) of every tensor."""
  assert sorted(a) == sorted(b), sorted(set(a) ^ set(b))
  result = {}
  for name in a:
    assert a[name].shape == b[name].shape, name
    difference = a[name].astype(np.float64) - b[name]
    # A tensor of exact zeros must be equal.
    worst = float(np.abs(difference).max())
    result[name] = worst / scale[name] if worst else 0.0
    # Python's max() ignores a NaN.
    assert np.isfinite(worst), name
  return result


def measure(
  pair: networks.Pair, inputs: kinks.Inputs, forms: Sequence[str] = FORMS
) -> dict[str, Distances]:
  """Run both networks in both precisions on every input, for each form."""
  args = [(pair, x, inputs.dlogits) for x in inputs.keypoints]
  theirs = [
    [run_theirs(*a, dtype) for dtype in (np.float64, np.float32)] for a in args
  ]
  scale = scales([exact for exact, _ in theirs])
  return {
    form: _largest(
      [
        (
          exact,
          single,
          *(run_ours(*a, d, form) for d in (np.float64, np.float32)),
        )
        for a, (exact, single) in zip(args, theirs, strict=True)
      ],
      scale,
    )
    for form in forms
  }


def _largest(runs, scale: Mapping[str, float]) -> Distances:
  """Return the distances over runs (theirs in float64, float32, then ours)."""
  largest: tuple[dict[str, float], ...] = ({}, {}, {}, {})
  for exact, theirs, ours_exact, ours in runs:
    pairs = (
      (ours_exact, exact),
      (ours, theirs),
      (ours, exact),
      (theirs, exact),
    )
    for into, (a, b) in zip(largest, pairs, strict=True):
      for name, value in distances(a, b, scale).items():
        into[name] = max(into.get(name, 0.0), value)
  return Distances(*largest)


def failures(
  measured: Mapping[str, Distances], inputs: kinks.Inputs
) -> list[str]:
  """Return a line for each tensor that breaks a claim of this module."""
  return [
    f'{form} form, {line}'
    for form, distances in measured.items()
    for line in _failures(distances, inputs)
  ]


def _failures(distances: Distances, inputs: kinks.Inputs) -> list[str]:
  rounding: dict[str, float] = {}
  for name, value in distances.theirs.items():
    rounding[_kin(name)] = max(rounding.get(_kin(name), 0.0), value)
  lines = []
  for name, double in distances.double.items():
    if inputs.has_ties and name.endswith(_AMBIGUOUS):
      continue
    single, ours = distances.single[name], distances.ours[name]
    is_exact = double <= DOUBLE_LIMIT
    is_close = single <= SINGLE_LIMIT or ours <= FACTOR * rounding[_kin(name)]
    is_close |= not inputs.is_sure and name.startswith('gradient')
    if not (is_exact and is_close):
      lines.append(
        f'{name}: float64 {double:.1e}, float32 {single:.1e}; from the exact '
        f'tensor {ours:.1e}, PyTorch {distances.theirs[name]:.1e}, and in other '
        f'blocks {rounding[_kin(name)]:.1e}'
      )
  return lines


def _kin(name: str) -> str:
  """Return the name without numbers: the same tensor in any block."""
  return ''.join(char for char in name if not char.isdigit())


def check(
  pair: networks.Pair,
  name: str,
  record: Callable[[str, str, float], None],
  make: Callable[..., np.ndarray] | None = None,
  forms: Sequence[str] = FORMS,
) -> None:
  """Measure, assert the claims of the module docstring, and report.

  Args:
    pair: the networks.
    name: of the model in the report.
    record: the fixture record_difference.
    make: see kinks.random_inputs.
    forms: of the kernels.
  """
  inputs = kinks.random_inputs(pair, make)
  measured = measure(pair, inputs, forms)
  lines = failures(measured, inputs)
  assert not lines, '\n'.join([str(pair.config), *lines])
  for distances in measured.values():
    for tensor, double in distances.double.items():
      if inputs.has_ties and tensor.endswith(_AMBIGUOUS):
        continue
      kind = KINDS[tensor.split()[0]]
      record(name, f'{kind}, float64', double)
      if inputs.is_sure or kind != 'gradient':
        record(name, f'{kind}, float32', distances.single[tensor])

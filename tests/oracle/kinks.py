"""Random inputs at which the gradient of a network is unambiguous.

The gradient of these networks jumps where the argument of a ReLU is 0 or
two frames tie in a max-pooling. Of the 1e5 such decisions in a small network
some are always within the rounding of float32, and then two correct programs
decide differently and their gradients differ by percents. So inputs are drawn
until PyTorch's float32 is sure of every decision, by its distance from float64;
where none is found (ten stages of six branches), gradients are compared in
float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import networks
import numpy as np
import torch

# Minimum distance of a decision from its kink in rounding errors, and draws of
# an input before trying fewer frames.
_MARGIN = 2
_DRAWS = 16
# Number of inputs in a comparison.
NUM_INPUTS = 4


class Inputs(NamedTuple):
  """Inputs of both networks.

  Attributes:
    keypoints: each [B, M, T, V, C] float32, or volumes [B, T, H, W, C].
    dlogits: gradient of a loss by the logits, [B, classes] float32.
    is_sure: whether all inputs are away from the kinks. If not, gradients can
      be compared in float64 only.
    has_ties: whether float64 is not sure either. Then the gradient of the
      input depends on which of two equal frames a max-pooling selects, and so
      does that of a learned graph at the entries that are still 0.
  """

  keypoints: list[np.ndarray]
  dlogits: np.ndarray
  is_sure: bool
  has_ties: bool


def random_inputs(
  pair: networks.Pair, make: Callable[..., np.ndarray] | None = None
) -> Inputs:
  """Draw inputs away from every kink, if possible.

  Args:
    pair: its config has the shape; where a shape is so large that some decision
      is always a toss-up, smaller ones are tried.
    make: (rng, shape) -> input; the default draws from N(0, 1).
  """
  config = pair.config
  make = make or (lambda rng, shape: rng.normal(size=shape))
  rng = np.random.default_rng([config.seed, 1])
  dlogits = rng.normal(size=(config.shape[0], networks.NUM_CLASSES))
  dlogits = (dlogits / config.shape[0]).astype(np.float32)

  def draw(shape):
    return np.asarray(make(rng, shape), np.float32)

  for shape in config.smaller_shapes:
    sure: list[np.ndarray] = []
    for tries in range(_DRAWS):
      x = draw(shape)
      tossups, ties = _toss_ups(pair, x)
      if not tossups:
        sure.append(x)
      if len(sure) == NUM_INPUTS:
        return Inputs(sure, dlogits, True, False)
      if ties or (not sure and (tossups > 3 or tries > _DRAWS // 2)):
        break
  drawn = [draw(config.shape) for _ in range(NUM_INPUTS)]
  has_ties = any(_toss_ups(pair, x)[1] for x in drawn)
  return Inputs(drawn, dlogits, False, has_ties)


def _toss_ups(pair: networks.Pair, x: np.ndarray) -> tuple[int, bool]:
  """Count modules with decisions within rounding; also whether in float64."""
  rough, exact = (
    _decisions(pair, x, dtype) for dtype in (torch.float32, torch.float64)
  )
  count, ties = 0, False
  for a, b in zip(rough, exact, strict=True):
    # Per channel: BatchNorm amplifies small variations, including rounding.
    rounding = (a.double() - b).abs().nan_to_num(0).amax(1)
    closest = b.abs().nan_to_num(torch.inf).amin(1)
    differ = not torch.equal(a.isnan(), b.isnan())
    count += bool(differ or (closest <= _MARGIN * rounding).any())
    # 2**-29 of float32's rounding is that of float64.
    ties |= bool((closest <= 2.0**-20 * rounding).any())
  return count, ties


def _decisions(pair, x, dtype) -> list[torch.Tensor]:
  """Return the margins of all decisions of ReLUs and max-poolings.

  Returns:
    One [C, n] per module and group; NaN where nothing is decided.
  """
  network = pair.theirs.to(dtype).train()
  state = {n: t.clone() for n, t in network.state_dict().items()}
  found: list[torch.Tensor] = []

  def relu(module, args):
    del module
    # A constant 0 (of a joint without neighbours) is 0 in any precision.
    found.append(args[0].masked_fill(args[0] == 0, torch.nan))

  def pool(module, args):
    # Over frames and joints, or over frames, rows and columns.
    num_axes = args[0].ndim - 2
    sizes, strides, pads = (
      values if isinstance(values, tuple) else (values,) * num_axes
      for values in (module.kernel_size, module.stride, module.padding)
    )
    around = [pad for pad in reversed(pads) for _ in range(2)]
    y = torch.nn.functional.pad(args[0], around, value=-torch.inf)
    for axis, size, stride in zip(range(2, y.ndim), sizes, strides):
      y = y.unfold(axis, size, stride)
    y = y.flatten(args[0].ndim)
    first, second = y.topk(2, dim=-1).values.unbind(-1)
    # The gradient is zero either way if the ReLU before is; a frame may also be
    # the only one in its window.
    is_open = (first > 0) & second.isfinite()
    found.append((first - second).masked_fill(~is_open, torch.nan))

  kinds = {
    torch.nn.ReLU: relu,
    torch.nn.MaxPool2d: pool,
    torch.nn.MaxPool3d: pool,
  }
  handles = [
    module.register_forward_pre_hook(kinds[type(module)])
    for module in network.modules()
    if type(module) in kinds
  ]
  size = pair.config.norm_group or len(x)
  with torch.no_grad():
    for rows in torch.from_numpy(x).to(dtype).split(size):
      network(rows)
  for handle in handles:
    handle.remove()
  network.load_state_dict(state)
  network.to(torch.float32)
  return [d.transpose(0, 1).flatten(1) for d in found]

"""Write docs/equality.md, the differences between skeljax and published code.

  python tests/oracle/report.py

Runs the oracle tests of models, conversion, training and heatmaps, and
tabulates the largest differences that they measured.
"""

from collections.abc import Iterable, Mapping
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

_HERE = pathlib.Path(__file__).resolve().parent
_REPOSITORY = _HERE.parents[1]
_TESTS = (
  'models',
  'slowonly',
  'published_0x',
  'training_curve',
  'round_trip',
  'heatmaps',
  'geometry',
  'volumes',
)
_PACKAGES = ('jax', 'flax', 'optax', 'numpy', 'torch', 'mmaction2')
# Column -> the kinds of difference in it, from top to bottom.
_COLUMNS = {
  'forward': ('forward, float64', 'forward, float32'),
  'gradient': ('gradient, float64', 'gradient, float32'),
  'BatchNorm state': ('BatchNorm state, float64', 'BatchNorm state, float32'),
  'training': ('training curve, float64', 'training step, float32'),
  'round trip': ('round trip, logits', 'round trip, weights'),
}
_TEXT = """# Equality with the published code

Largest relative difference between skeljax (each form of its kernels) and
PyTorch, both on the CPU, with the same weights and inputs, over published and
random configurations (seed {seed}). Made by
`python tests/oracle/report.py` with {versions}.
CI checks the limits below on every run.

Upper number: both compute in float64. Lower number: both compute in float32.

{table}

- **forward**: logits in evaluation and in training mode. **gradient**: of every
  parameter and of the input. **BatchNorm state**: running mean and unbiased
  variance after a step, over the whole batch or averaged over groups of clips.
  Each is the largest difference in a tensor over the largest magnitude in it.
  Limits: 1e-9 in float64; in float32 1e-5, or 8 times the rounding of PyTorch's
  own float32 where that leaves fewer digits (attention, sums that cancel).
- **training**, upper: losses of {steps} steps of the published training (SGD with
  Nesterov momentum and weight decay, cosine) from equal weights, each framework
  on its own; limit 1e-8. Lower: the update from PyTorch's state, at each of
  {steps} steps, over its norm; limit 1e-4. (In float32 two whole runs diverge,
  in any framework.)
- **round trip**, upper: logits of mmaction2 after it has loaded our weights with
  strict=True; limit 1e-10. Lower: difference of the weights converted back.
- In float32, gradients are compared at inputs where rounding cannot change the
  decision of a ReLU or a max-pooling, because the gradient is discontinuous
  there. None was found for ST-GCN++ with ten stages, so its gradient is compared
  in float64 only.
- No package contains the last three networks any more. They are compared with
  plain PyTorch modules, written from the publications, that reproduce numbers
  of the original code (`tests/oracle/published_0x.py`).

## The input of PoseC3D

Largest difference of a heatmap's value, 0 to 1, between skeljax on the device
and the transforms of mmaction2, on random skeletons: one to three persons,
missing joints, scores of zero, joints outside the frame, clips of one frame.
The pipelines lead from annotations to volumes: boxes, resizing, crops and flips
with the same random decisions, heatmaps, ten views and their flipped copies.

{volumes}

Limit 1e-5. Boxes, sizes, crops and the edges of a Gaussian's window are
integers. They may differ only where the exact value is within 1e-4 of a
rounding boundary, and in fewer than 1 of 100,000: {different:,} of {decided:,} did.
"""
# The number of decisions, which are summed.
_COUNTED = 'whole numbers'
_VOLUMES = ('GeneratePoseTarget', 'PoseC3D pipeline')


def run(path: pathlib.Path) -> None:
  """Run the tests; exit if one fails."""
  subprocess.run(
    [
      sys.executable,
      '-m',
      'pytest',
      *(f'tests/oracle/test_{name}.py' for name in _TESTS),
      '-n2',
    ],
    cwd=_REPOSITORY,
    env={
      **os.environ,
      'SKELJAX_ORACLE_REPORT': str(path),
      'SKELJAX_REQUIRE_ORACLE': '1',
    },
    check=True,
  )


def largest(path: pathlib.Path) -> dict[tuple[str, str], float]:
  """Return the largest difference of each (model, kind); counts are summed."""
  result: dict[tuple[str, str], float] = {}
  for line in path.read_text().splitlines():
    entry = json.loads(line)
    key = entry['model'], entry['kind']
    old, new = result.get(key, 0.0), entry['value']
    result[key] = old + new if key[0] == _COUNTED else max(old, new)
  return result


def table(
  values: Mapping[tuple[str, str], float], models: Iterable[str]
) -> str:
  """Return a Markdown table with a row per model."""
  lines = [
    '| model | ' + ' | '.join(_COLUMNS) + ' |',
    '|---' * (1 + len(_COLUMNS)) + '|',
  ]
  for model in models:
    cells = [
      '<br>'.join(
        _number(values[model, kind]) if (model, kind) in values else '–'
        for kind in kinds
      )
      for kinds in _COLUMNS.values()
    ]
    lines.append(f'| {model} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def volume_table(values: Mapping[tuple[str, str], float]) -> str:
  """Return a Markdown table with a row per comparison of heatmaps."""
  lines = ['| compared | largest difference |', '|---|---|']
  for (model, kind), value in sorted(values.items()):
    if model in _VOLUMES:
      lines.append(f'| {model}, {kind} | {_number(value)} |')
  return '\n'.join(lines)


def _number(value: float) -> str:
  return f'{value:.0e}' if value else '0'


def write(values: Mapping[tuple[str, str], float]) -> None:
  """Write docs/equality.md."""
  sys.path.insert(0, str(_HERE))
  import conftest

  conftest.make_importable()
  import curve_worker
  import networks

  text = _TEXT.format(
    seed=os.environ.get('SKELJAX_ORACLE_SEED') or conftest.DEFAULT_SEED,
    versions=', '.join(
      f'{name} {importlib.metadata.version(name)}' for name in _PACKAGES
    ),
    table=table(values, networks.NAMES.values()),
    volumes=volume_table(values),
    decided=int(values[_COUNTED, 'decided']),
    different=int(values[_COUNTED, 'decided differently']),
    steps=curve_worker.NUM_STEPS,
  )
  (_REPOSITORY / 'docs' / 'equality.md').write_text(text)


def main() -> None:
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'differences.jsonl'
    run(path)
    write(largest(path))


if __name__ == '__main__':
  main()

"""Settings that every test runs under."""

import os

# Set before JAX starts a backend: tests are numeric claims about the CPU.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

from absl import flags  # noqa: E402
import jax  # noqa: E402

jax.config.update('jax_num_cpu_devices', 4)
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_default_matmul_precision', 'highest')

# Grain's worker processes read absl flags, which only app.run() parses.
flags.FLAGS.mark_as_parsed()

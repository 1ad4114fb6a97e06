"""Shared by the tests of the models."""

import functools

import jax
import pytest


@pytest.fixture
def quick_jit():
  """jax.jit that compiles several times faster to slower programs."""
  return functools.partial(
    jax.jit,
    compiler_options={
      'xla_backend_optimization_level': 0,
      'xla_llvm_disable_expensive_passes': True,
      'xla_cpu_use_fusion_emitters': False,
    },
  )

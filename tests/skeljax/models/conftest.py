"""Shared by the tests of the models."""

import functools

import jax
import pytest

from skeljax.models import kernels
from tests import compiling


@pytest.fixture
def quick_jit():
  """jax.jit that compiles several times faster to slower programs."""
  return functools.partial(jax.jit, compiler_options=compiling.FAST_COMPILE)


@pytest.fixture(params=['plain', 'cpu'])
def kernel_form(request, monkeypatch):
  """Makes the kernels use their plain form (as on GPU and TPU) or another."""

  def by_platform(*args, plain, **forms):
    return forms.get(request.param, plain)(*args)

  monkeypatch.setattr(kernels, 'by_platform', by_platform)
  return request.param

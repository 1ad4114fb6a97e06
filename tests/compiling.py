"""Compiler options for tests, where compiling takes most of the time."""

import jaxlib

# Compiles several times faster, to slower programs. jaxlib 0.11 replaced the
# fusion emitters and no longer has the option.
FAST_COMPILE: dict[str, bool | int] = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
}
if tuple(map(int, jaxlib.__version__.split('.')[:2])) < (0, 11):
  FAST_COMPILE['xla_cpu_use_fusion_emitters'] = False

"""The `data` mesh, its shardings, and the transfer of host batches to it."""

from collections.abc import Mapping
import os

from absl import logging
import jax
from jax.sharding import AxisType
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from skeljax import errors


def _launched_processes() -> int:
  """Return the number of processes according to the launcher's variables."""
  hosts = os.environ.get('TPU_WORKER_HOSTNAMES', '')
  counts = [len(hosts.split(','))]
  for name in ('SLURM_NTASKS', 'OMPI_COMM_WORLD_SIZE'):
    value = os.environ.get(name, '1')
    counts.append(int(value) if value.isdigit() else 1)
  return max(counts)


def initialize_distributed(mode: str) -> None:
  """Join the processes of one job; call it before any use of a backend.

  Args:
    mode: 'on', 'off', or 'auto': join if a TPU pod slice, Slurm or Open MPI has
      launched several processes.

  Raises:
    UserError: joining failed, or fewer processes joined than were launched.
      Continuing would start several jobs in one workdir.
  """
  launched = _launched_processes()
  if mode == 'off' or (mode == 'auto' and launched == 1):
    return
  # JAX_COORDINATOR_ADDRESS and its two companions are for jobs without a
  # launcher.
  address = os.environ.get('JAX_COORDINATOR_ADDRESS')
  try:
    if address:
      jax.distributed.initialize(
        address,
        int(os.environ['JAX_NUM_PROCESSES']),
        int(os.environ['JAX_PROCESS_ID']),
      )
    else:
      jax.distributed.initialize()
  except (ValueError, RuntimeError, KeyError) as error:
    raise errors.UserError(
      f'--distributed={mode}: cannot join the processes of this job ({error}).'
      ' Without TPU, Slurm or Open MPI set JAX_COORDINATOR_ADDRESS=host:port,'
      ' JAX_NUM_PROCESSES and JAX_PROCESS_ID, or use --distributed=off.'
    ) from error
  if mode == 'auto' and jax.process_count() < launched:
    raise errors.UserError(
      f'{launched} processes were launched, but only {jax.process_count()}'
      ' joined: start all of them with the same command, or use'
      ' --distributed=off.'
    )


def make_mesh() -> jax.sharding.Mesh:
  """Return a one-axis mesh, `data`, over all devices of all processes."""
  mesh = jax.make_mesh(
    (jax.device_count(),), ('data',), axis_types=(AxisType.Auto,)
  )
  logging.info(
    'process %d of %d, %d of %d devices (%s), jax %s',
    jax.process_index(),
    jax.process_count(),
    jax.local_device_count(),
    jax.device_count(),
    jax.devices()[0].device_kind,
    jax.__version__,
  )
  return mesh


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
  """Return the sharding that copies an array to every device."""
  return NamedSharding(mesh, P())


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
  """Return the sharding that splits the first axis over the devices."""
  return NamedSharding(mesh, P('data'))


def to_global(
  batch: Mapping[str, np.ndarray], mesh: jax.sharding.Mesh
) -> dict[str, jax.Array]:
  """Assemble global arrays from every process's part of a batch.

  Args:
    batch: arrays [B / processes, ...], the same length on every process.
    mesh: the `data` mesh.

  Returns:
    Arrays [B, ...], sharded along the first axis.
  """
  sharding = batch_sharding(mesh)
  return {
    name: jax.make_array_from_process_local_data(sharding, value)
    for name, value in batch.items()
  }


def check_batch_size(batch_size: int, field: str) -> None:
  """Raise UserError unless the global batch divides evenly over all devices."""
  if batch_size % jax.device_count():
    raise errors.UserError(
      f'{field}={batch_size}: expected a multiple of the number of devices,'
      f' {jax.device_count()}.'
    )

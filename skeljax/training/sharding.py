"""The `data` mesh, its shardings, and the way of a host batch onto it."""

from collections.abc import Mapping
import os

from absl import logging
import jax
from jax.sharding import AxisType
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
import numpy as np

from skeljax import errors

# Set by the launchers that start several processes of one job.
_CLUSTER_VARIABLES = (
  'TPU_WORKER_HOSTNAMES',
  'SLURM_NTASKS',
  'OMPI_COMM_WORLD_SIZE',
)


def _launched_processes() -> int:
  hosts = os.environ.get('TPU_WORKER_HOSTNAMES', '')
  counts = [len(hosts.split(',')) if hosts else 1]
  for name in _CLUSTER_VARIABLES[1:]:
    value = os.environ.get(name, '1')
    counts.append(int(value) if value.isdigit() else 1)
  return max(counts)


def initialize_distributed(mode: str) -> None:
  """Joins the processes of one job, before any backend is used.

  Args:
    mode: 'on' always joins, 'off' never, 'auto' joins when a TPU pod slice,
      Slurm or Open MPI says that there are several processes.

  Raises:
    UserError: joining failed, or found fewer processes than were launched; a
      swallowed failure would become several jobs in one workdir.
  """
  launched = _launched_processes()
  if mode == 'off' or (mode == 'auto' and launched == 1):
    return
  # JAX_COORDINATOR_ADDRESS and its two companions serve hand-started jobs.
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
      f'--distributed={mode}: the processes of this job could not be joined'
      f' ({error}). On TPU, Slurm and Open MPI no setting is needed; elsewhere'
      ' set JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and'
      ' JAX_PROCESS_ID, or pass --distributed=off for a single process.'
    ) from error
  if mode == 'auto' and jax.process_count() < launched:
    raise errors.UserError(
      f'the launcher says {launched} processes but only'
      f' {jax.process_count()} joined. Start every process with the same'
      ' command, or pass --distributed=off to run one process on its own.'
    )


def make_mesh() -> jax.sharding.Mesh:
  """A one-axis mesh, `data`, over all devices of all processes."""
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
  return NamedSharding(mesh, P())


def batch_sharding(mesh: jax.sharding.Mesh) -> NamedSharding:
  """Rows of a batch over the devices; every other axis whole."""
  return NamedSharding(mesh, P('data'))


def to_global(
  batch: Mapping[str, np.ndarray], mesh: jax.sharding.Mesh
) -> dict[str, jax.Array]:
  """Puts this process's rows of a batch onto its devices.

  Args:
    batch: arrays [B / processes, ...], the same length on every process.
    mesh: the `data` mesh.

  Returns:
    Global arrays [B, ...], row-sharded.
  """
  sharding = batch_sharding(mesh)
  return {
    name: jax.make_array_from_process_local_data(sharding, value)
    for name, value in batch.items()
  }


def check_batch_size(batch_size: int, field: str) -> None:
  """Raises UserError unless the global batch divides over all devices."""
  if batch_size % jax.device_count():
    raise errors.UserError(
      f'{field} is {batch_size}, which does not divide over the'
      f' {jax.device_count()} devices. Choose a multiple of'
      f' {jax.device_count()}.'
    )

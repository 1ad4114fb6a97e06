"""From annotation files to host batches: numpy and Grain, no JAX array."""

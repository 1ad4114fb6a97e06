"""Training: state, step, losses, metrics, optimizer, checkpoints, logs."""

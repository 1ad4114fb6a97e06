"""PyTorch checkpoints and score dumps, read and written.

Only this package imports torch, and only inside the functions that read or
write a file of it.
"""

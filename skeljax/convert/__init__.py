"""Convert checkpoints and score dumps from and to PyTorch.

`checkpoint.load` and `checkpoint.save` convert weights. What depends on a model
family is in its subclass of `family.Family`, in stgcn.py, agcn.py and
slowonly.py: tensor names, recognition of a network from its tensors, and the
config with which published code builds it.

Only this package imports torch, and only inside functions.
"""

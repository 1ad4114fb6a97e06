"""Skeleton layouts and the graph of a skeleton."""

from skeljax.skeletons.layout import LAYOUTS
from skeljax.skeletons.layout import Layout
from skeljax.skeletons.layout import Pairs
from skeljax.skeletons.layout import get_layout

__all__ = ('LAYOUTS', 'Layout', 'Pairs', 'get_layout')

"""Figures of data and results; they need matplotlib (extra `plots`)."""

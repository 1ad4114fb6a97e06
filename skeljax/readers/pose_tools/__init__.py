"""Readers of the files that pose estimators write."""

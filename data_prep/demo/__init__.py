"""Procedural demo motions: skeleton clips for a first run without a download."""

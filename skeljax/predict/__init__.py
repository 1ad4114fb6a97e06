"""Predict the actions in your own clips: `python -m skeljax.predict --help`."""

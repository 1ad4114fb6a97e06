"""Own clips in, labelled actions out: `python -m skeljax.predict --help`."""

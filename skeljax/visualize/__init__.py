"""Pictures of data and results; they need matplotlib (extra `pictures`)."""

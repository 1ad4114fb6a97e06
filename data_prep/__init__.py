"""Prepare datasets with Apache Beam; training does not import this package."""

import logging

# Beam logs this if its Google Cloud extra is not installed.
logging.getLogger().addFilter(
  lambda record: 'apitools not found' not in record.getMessage()
)

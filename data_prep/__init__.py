"""Prepares datasets with Apache Beam; training does not import this package."""

import logging

# Beam says this to everybody who has not installed its Google Cloud extra.
logging.getLogger().addFilter(
  lambda record: 'apitools not found' not in record.getMessage()
)

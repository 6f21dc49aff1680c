"""Fit a registered version again and compare the results."""

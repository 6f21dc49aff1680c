"""Readers for each kind of data source."""

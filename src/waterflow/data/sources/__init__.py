"""Readers of data sources, a module for each kind."""

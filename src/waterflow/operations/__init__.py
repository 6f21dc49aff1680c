"""Operate the stores: audit, garbage collection, disk usage, reconciliation."""

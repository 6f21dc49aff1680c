"""Preprocessing, fitting and tuning of candidates; no I/O."""

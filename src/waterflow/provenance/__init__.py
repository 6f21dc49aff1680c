"""Digests of code and environment, and the state of git."""

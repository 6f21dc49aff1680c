"""Rows: their sources, windows and holdout.

The modules say where rows come from, which of them a run may see, and how they are held out.
"""

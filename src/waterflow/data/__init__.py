"""Rows: where they come from, which of them a run may see, and how they are held out."""

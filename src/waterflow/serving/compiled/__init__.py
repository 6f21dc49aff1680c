"""The fast path: fitted pipelines as functions of plain columns."""

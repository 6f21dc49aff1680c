"""Statistical comparison of two models; no I/O."""

"""Champions that answer: over HTTP, in batches, in notebooks."""

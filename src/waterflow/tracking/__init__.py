"""MLflow: the only part of Waterflow that imports it."""

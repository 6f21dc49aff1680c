"""The origin of a registered version. Traces it back to its data, code, environment and runs."""

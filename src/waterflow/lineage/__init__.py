"""The way from a registered version back to its data, code, environment and runs."""

"""Training a registered version again and comparing the results."""

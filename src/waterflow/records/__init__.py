"""What travels between steps, by subject."""

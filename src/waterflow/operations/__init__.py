"""Audits, clean-up and disk usage of the stores."""

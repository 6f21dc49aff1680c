"""Counts in words."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun. `1 version`, `2,000 versions`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

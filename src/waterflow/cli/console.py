"""Where the commands print: answers to the one, errors and findings to the other."""

import os

from rich.console import Console

out = Console()
err = Console(stderr=True)


def widen() -> None:
    """Give a pipe room: it has no width, and at the 80 columns that Rich takes, names lose their ends."""
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 160

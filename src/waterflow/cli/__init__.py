"""The shell's door: `waterflow`."""

from waterflow.cli.app import main

__all__ = ["main"]

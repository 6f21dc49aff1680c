"""The command line interface, `waterflow`."""

from waterflow.cli.app import main

__all__ = ["main"]

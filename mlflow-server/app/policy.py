"""What each kind of account may ask of MLflow, as `routes.txt` lists it."""

import re
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SERVICE = "airflow"  # the pipelines' account
SERVING = "serving"  # that of the service which answers requests; like a person's, it changes nothing
API_PREFIX = re.compile(r"/(ajax-)?api/\d\.\d(?=/)")
# One decoding is behind us. A path that could be decoded again, or that leads upwards, is read differently by the next reader.
AMBIGUOUS = re.compile(r"%|\\|//|(^|/)\.\.?(/|$)|[\x00-\x1f\x7f]")


class Access(IntEnum):
    """The least that an account must be."""

    PUBLIC = 0
    READ = 1
    WRITE = 2
    ADMIN = 3
    CLOSED = 4


@dataclass(frozen=True)
class Rule:
    """A line of the list."""

    access: Access
    methods: frozenset[str]
    path: re.Pattern[str]

    def matches(self, method: str, path: str) -> bool:
        """Return whether the line is about such a request."""
        return (method in self.methods or "*" in self.methods) and self.path.fullmatch(path) is not None


class Policy:
    """The whole list. What matches no line is closed."""

    def __init__(self, text: str) -> None:
        """Parse the list."""
        lines = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
        self.rules = [
            Rule(Access[access.upper()], frozenset(methods.split(",")), _pattern(path))
            for access, methods, path in lines
        ]

    def find_rule(self, method: str, path: str) -> Rule | None:
        """Return the first line that matches a decoded path. None without one."""
        short = API_PREFIX.sub("", path, count=1)
        return next((rule for rule in self.rules if rule.matches(method, short)), None)

    def access(self, method: str, path: str) -> Access:
        """Return what a request requires."""
        rule = None if AMBIGUOUS.search(path) else self.find_rule(method, path)
        return rule.access if rule else Access.CLOSED


def read_policy() -> Policy:
    """Read the list beside this module."""
    return Policy(Path(__file__).with_name("routes.txt").read_text("utf-8"))


def highest_access(username: str, is_admin: bool) -> Access:
    """Return what an account may ask for at most."""
    if is_admin:
        return Access.ADMIN
    return Access.WRITE if username == SERVICE else Access.READ


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", path)
    return re.compile("".join({"**": ".*", "*": "[^/]+"}.get(part) or re.escape(part) for part in parts), re.DOTALL)

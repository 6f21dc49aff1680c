"""Lists of what is valid. What was probably meant leads."""

from collections.abc import Iterable
from difflib import get_close_matches


def find_near(name: object, options: Iterable[str]) -> str | None:
    """Return the option that a name resembles most. None if none does."""
    folded = {option.casefold(): option for option in options}
    near = get_close_matches(str(name).casefold(), folded, n=1)
    return folded[near[0]] if near else None


def list_valid(name: object, options: Iterable[str]) -> str:
    """Return `did you mean 'x'? valid: x, y`. The question is left out if nothing resembles the name."""
    options = list(options)
    near = find_near(name, options)
    return f"{f'did you mean {near!r}? ' if near else ''}valid: {', '.join(options) or 'none'}"

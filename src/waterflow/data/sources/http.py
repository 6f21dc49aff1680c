"""Files behind `https://…`, and addresses as messages may show them."""

import re
from pathlib import Path

import requests

from waterflow.errors import ConfigError, DataError, UnreachableError

TIMEOUT_SECONDS = (10, 60)  # to connect, and between two bytes


def shown(address: str) -> str:
    """Give a path or URL without what may be secret in it: a password, the query of a signed link."""
    if "://" not in address:
        return address
    # A password may hold a / or an @ that its writer forgot to encode: rather too little is shown than too much.
    return re.sub(r"://([^/@]*:.*|[^/]*)@", "://", address).partition("?")[0]


def download(url: str, path: Path) -> None:
    """Write what an `https://…` or `http://…` address gives to `path`.

    Raises UnreachableError when the server does not answer, answers that it is busy or stops halfway, DataError
    when it refuses, ConfigError for another kind of address.
    """
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"dataset.path: {shown(url)!r} is not supported; valid: a path, s3://…, https://…, http://…")
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS) as answer, path.open("wb") as file:
            _check_status(answer, url)
            for piece in answer.iter_content(1 << 20):
                file.write(piece)
    except requests.exceptions.InvalidURL as error:
        raise ConfigError(f"dataset.path: {shown(url)!r} is no address; write it like https://host/file.csv") from error
    except (requests.RequestException, OSError) as error:
        raise UnreachableError(
            f"{shown(url)}: the server does not answer ({type(error).__name__}); is it up?"
        ) from error


def _check_status(answer: requests.Response, url: str) -> None:
    status = answer.status_code
    if status in (408, 425, 429) or status >= 500:
        raise UnreachableError(f"{shown(url)}: the server answers {status}; try again later")
    if status in (401, 403):
        raise DataError(f"{shown(url)}: the server refuses with status {status}; the address needs other credentials")
    if not answer.ok:
        raise DataError(f"{shown(url)}: the server answers {status}; mend dataset.path")

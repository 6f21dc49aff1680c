"""Downloads over `https://…`."""

from pathlib import Path

import requests

from waterflow.data.sources.facts import hide_credentials
from waterflow.errors import ConfigError, DataError, UnreachableError

TIMEOUT_SECONDS = (10, 60)  # to connect, and between two bytes


def download(url: str, path: Path) -> None:
    """Download an `https://…` or `http://…` address to `path`.

    Raises UnreachableError when the server does not answer, is busy or stops halfway, DataError when it refuses,
    ConfigError for another kind of address.
    """
    place = hide_credentials(url)
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"dataset.path: {place!r} is not supported; valid: a path, s3://…, https://…, http://…")
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS) as answer, path.open("wb") as file:
            _check_status(answer.status_code, place)
            for chunk in answer.iter_content(1 << 20):
                file.write(chunk)
    except requests.exceptions.InvalidURL as error:
        raise ConfigError(f"dataset.path: {place!r} is no address; write it like https://host/file.csv") from error
    except (requests.RequestException, OSError) as error:
        raise UnreachableError(f"{place}: the server does not answer ({type(error).__name__}); is it up?") from error


def _check_status(status: int, place: str) -> None:
    if status in (408, 425, 429) or status >= 500:
        raise UnreachableError(f"{place}: the server answers {status}; try again later")
    if status in (401, 403):
        raise DataError(f"{place}: the server refuses with status {status}; the address needs other credentials")
    if status >= 400:
        raise DataError(f"{place}: the server answers {status}; fix dataset.path")

"""Translation of MLflow's errors into Waterflow's."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from mlflow.exceptions import MlflowException, RestException

from waterflow.errors import StoreError, TrackingError, UnreachableError, WaterflowError, first_line
from waterflow.waiting import announced


class ForbiddenError(TrackingError):
    """The account lacks a right. Its credentials are right."""


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Raise MLflow's errors as Waterflow's.

    UnreachableError for what is worth a retry, TrackingError for the rest. `uri` names the server in messages.
    Artifacts in a folder that cannot be used are a StoreError.
    """
    try:
        with announced(f"MLflow at {without_credentials(uri)}"):
            yield
    except WaterflowError:
        raise
    except RestException as error:
        raise _refused(uri, error) from error
    except MlflowException as error:
        text = first_line(error)
        if "error code 401" in text:
            raise TrackingError(_credentials(uri, "401")) from error
        if "error code 403" in text:
            raise ForbiddenError(_forbidden(uri, text.partition("Response body:")[2].strip(" '\""))) from error
        if "API request" in text and ("exception" in text or "error code 5" in text or "error code 429" in text):
            raise UnreachableError(
                f"MLflow at {without_credentials(uri)} does not answer ({_cause(text)}); is it up?"
            ) from error
        raise TrackingError(f"MLflow at {without_credentials(uri)}: {text}") from error
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        if status == 401:
            raise TrackingError(_credentials(uri, "status 401")) from error
        if status == 403:
            raise ForbiddenError(_forbidden(uri, "status 403")) from error
        raise UnreachableError(
            f"MLflow at {without_credentials(uri)} does not answer ({type(error).__name__}); is it up?"
        ) from error
    except OSError as error:
        raise StoreError(
            f"artifacts: {str(error.filename)!r} cannot be read or written ({error.strerror}); check space and rights"
        ) from error


def check_reachable(uri: str, timeout_seconds: float = 10.0) -> None:
    """Raise UnreachableError unless an HTTP server answers within the time-out.

    MLflow's own client retries for minutes, which is right in the middle of a run and wrong at its start.
    """
    if not uri.startswith(("http://", "https://")):
        return
    try:
        requests.get(f"{uri.rstrip('/')}/version", timeout=timeout_seconds)
    except requests.RequestException as error:
        raise UnreachableError(
            f"MLflow at {without_credentials(uri)} does not answer ({type(error).__name__}); "
            "start the server, or choose another with profile.tracking_uri"
        ) from error


def without_credentials(uri: str) -> str:
    """Return an address without its user and password."""
    parts = urlsplit(uri)
    return uri.replace(f"{parts.netloc}", parts.netloc.rpartition("@")[2], 1) if "@" in parts.netloc else uri


def _refused(uri: str, error: RestException) -> WaterflowError:
    if error.error_code in ("TEMPORARILY_UNAVAILABLE", "INTERNAL_ERROR"):
        return UnreachableError(f"MLflow at {without_credentials(uri)} failed ({first_line(error)}); try again later")
    if error.error_code in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
        return TrackingError(_credentials(uri, str(error.error_code)))
    if error.error_code == "PERMISSION_DENIED":
        return ForbiddenError(_forbidden(uri, first_line(error)))
    return TrackingError(f"MLflow at {without_credentials(uri)}: {first_line(error)}")


def _credentials(uri: str, reason: str) -> str:
    return (
        f"MLflow at {without_credentials(uri)} refuses the credentials ({reason}); "
        "check ~/.mlflow/credentials, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    )


def _forbidden(uri: str, reason: str) -> str:
    return (
        f"MLflow at {without_credentials(uri)} knows the account and refuses what it asks "
        f"({reason or 'permission denied'}); an admin of MLflow can grant it the permission"
    )


def _cause(text: str) -> str:
    for known in ("Connection refused", "timed out", "Name or service not known", "Max retries exceeded"):
        if known in text:
            return known
    return text[-120:]

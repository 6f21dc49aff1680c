import base64
from pathlib import Path

import pytest
from support.projects import message_of

from waterflow.errors import ConfigError
from waterflow.serving.access import Access, Right, check_bind, is_foreign

PREDICT, OUTCOMES = "p" * 24, "o" * 24


@pytest.fixture
def access(tmp_path: Path) -> Access:
    """Read a file with a token of each right."""
    file = tmp_path / "tokens"
    file.write_text(f"# made by hand\npredict {PREDICT}\noutcomes {OUTCOMES}\n\n", "utf-8")
    return Access.read(file)


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (f"Bearer {PREDICT}", Right.PREDICT),
        (f"bearer {OUTCOMES}", Right.OUTCOMES),
        ("Basic " + base64.b64encode(f"ann:{PREDICT}".encode()).decode(), Right.PREDICT),
        ("", Right.NONE),
        ("Bearer", Right.NONE),
        ("Bearer " + PREDICT[:-1], Right.NONE),
        (f"Basic {PREDICT}", Right.NONE),
        ("Basic \xff\xff", Right.NONE),
        ("Bearer \udcff", Right.NONE),
    ],
)
def test_a_header_has_the_right_of_its_token(access: Access, header: str, right: Right) -> None:
    """The token comes as a bearer's, or as a browser's password; anything else has none."""
    assert access.right_of(header) is right


def test_tokens_do_not_show(access: Access) -> None:
    """Neither in the object's text nor as its content."""
    assert PREDICT not in repr(access)
    assert PREDICT.encode() not in b"".join(access.digests)


@pytest.mark.parametrize("text", ["", "# none\n", "predict short\n", f"admin {PREDICT}\n", f"predict {PREDICT} more\n"])
def test_a_file_without_proper_tokens_is_refused(tmp_path: Path, text: str) -> None:
    """The message says what a line looks like, and not what it holds."""
    file = tmp_path / "tokens"
    file.write_text(text, "utf-8")
    message = message_of(lambda: Access.read(file), ConfigError)
    assert "predict TOKEN" in message
    assert PREDICT not in message


def test_an_address_that_others_reach_needs_tokens(access: Access) -> None:
    """Loopback does not, and with tokens any address will do."""
    for host in ("127.0.0.1", "localhost", "::1"):
        check_bind(host, Access())
    check_bind("0.0.0.0", access)  # noqa: S104
    assert "no token is set" in message_of(lambda: check_bind("0.0.0.0", Access()), ConfigError)  # noqa: S104


@pytest.mark.parametrize(
    ("host", "origin", "foreign_when_open", "foreign_with_tokens"),
    [
        ("127.0.0.1:8000", "", False, False),
        ("localhost:8000", "http://localhost:8000", False, False),
        ("[::1]:8000", "", False, False),
        ("localhost:8000", "http://localhost:9000", True, True),
        ("localhost:8000", "null", True, True),
        ("evil.example", "", True, False),
        ("serving.waterflow.test:443", "https://serving.waterflow.test:443", True, False),
    ],
)
def test_pages_of_others_are_foreign(
    access: Access, host: str, origin: str, foreign_when_open: bool, foreign_with_tokens: bool
) -> None:
    """Without tokens the name must be this machine's; with them, only the page must be the service's own."""
    assert is_foreign(host, origin, Access()) is foreign_when_open
    assert is_foreign(host, origin, access) is foreign_with_tokens

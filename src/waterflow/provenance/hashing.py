"""Digests of content and files, as sha256 in hexadecimal."""

import hashlib
import json
from pathlib import Path
from typing import Any


def digest_of(content: Any) -> str:
    """Hash JSON-like content in its canonical form."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hash a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Answered rows as bytes, in frames whose damage is noticed.

A frame is the length of its content and its CRC-32, as little-endian 32-bit integers, then the content: one request's
rows as MessagePack. A file of frames ends at the first that is cut short or does not match.
"""

import re
import secrets
import struct
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from waterflow.records.serving import Arm

HEAD = struct.Struct("<II")
ID = re.compile("[0-9a-f]{32}-[0-9]{1,9}")


class ServedRows(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The rows of one answered request.

    `at` is in seconds since 1970, `keys` are the caller's, one a row. `columns` are the features as received, one value
    a row; `probabilities` has a list of the classes' for each row. `share` is the share of requests that this arm
    answers, `sample` the share of requests that is recorded. Row i has the id `{id}-{i}`.
    """

    id: str
    at: float
    pipeline: str
    version: int
    model_id: str
    sequence: int | None
    arm: Arm
    keys: Sequence[str | None] | None
    columns: Mapping[str, Sequence[Any]]
    labels: Sequence[Any]
    classes: Sequence[Any]
    probabilities: Sequence[Sequence[float]] | None
    latency_seconds: float
    share: float = 1.0
    sample: float = 1.0
    keep_days: int = 90


def new_request_id() -> str:
    """Return a new id. It has 12 hexadecimal digits of the time in milliseconds, and 20 at random."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def time_of_id(prediction_id: str) -> datetime | None:
    """Return when a prediction was made, to a millisecond. None for what is not an id of ours."""
    if not ID.fullmatch(prediction_id):
        return None
    try:
        return datetime.fromtimestamp(int(prediction_id[:12], 16) / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def is_sampled(request_id: str, sample: float) -> bool:
    """Return whether a request is among the recorded ones. All arms that answer it agree."""
    return sample >= 1 or int(request_id[-8:], 16) < sample * 2**32


def encode_frame(rows: ServedRows) -> bytes:
    """Return the frame of a request's rows."""
    content = _encoder.encode(rows)
    return HEAD.pack(len(content), zlib.crc32(content)) + content


def read_frames(content: bytes) -> Iterator[ServedRows]:
    """Yield the requests of a spool file. A damaged frame ends it."""
    start = 0
    while len(content) - start >= HEAD.size:
        length, checksum = HEAD.unpack_from(content, start)
        body = memoryview(content)[start + HEAD.size : start + HEAD.size + length]
        if len(body) < length or zlib.crc32(body) != checksum:
            return
        try:
            yield _decoder.decode(body)
        except msgspec.DecodeError:  # written by another version, and counted as lost
            return
        start += HEAD.size + length


def _as_text(value: Any) -> Any:
    """Return NumPy's scalars as Python's, anything else as text."""
    return value.item() if hasattr(value, "item") else str(value)


_encoder = msgspec.msgpack.Encoder(enc_hook=_as_text)
_decoder = msgspec.msgpack.Decoder(ServedRows)

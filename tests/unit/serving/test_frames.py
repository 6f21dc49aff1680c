"""Frames of the spool: what was written whole is read, a torn tail is recognised."""

from datetime import UTC, datetime, timedelta

import pytest
from support.served import answered

from waterflow.serving.prediction_log.frames import (
    encode_frame,
    is_sampled,
    new_request_id,
    read_frames,
    time_of_id,
)


def test_frames_are_read_as_they_were_written() -> None:
    """Values keep their types."""
    requests = [answered(2), answered(1, keys=None, probabilities=None, columns={"x": [True], "y": [10**15]})]
    assert list(read_frames(b"".join(map(encode_frame, requests)))) == requests


@pytest.mark.parametrize("kept", [1, 7, 8, 20, -1])
def test_a_torn_tail_is_left_out(kept: int) -> None:
    """Whatever is missing of the last frame, those before it count."""
    first, second = answered(), encode_frame(answered())
    assert list(read_frames(encode_frame(first) + second[:kept])) == [first]


def test_nothing_is_read_behind_an_altered_byte() -> None:
    """A checksum that does not match ends the file."""
    first, second, third = answered(), bytearray(encode_frame(answered())), answered()
    second[20] ^= 1
    assert list(read_frames(encode_frame(first) + bytes(second) + encode_frame(third))) == [first]


def test_an_id_tells_when_it_was_made() -> None:
    """To a millisecond, so that an outcome from before is noticed."""
    made = time_of_id(f"{new_request_id()}-0")
    assert made is not None
    assert abs(datetime.now(UTC) - made) < timedelta(seconds=2)


@pytest.mark.parametrize("text", ["", "17", "0" * 32, "g" * 32 + "-0", "0" * 32 + "-", "0" * 32 + "-x"])
def test_other_texts_are_no_ids(text: str) -> None:
    """Neither a number of the caller's nor a request's id without a row."""
    assert time_of_id(text) is None


def test_a_sample_has_its_share() -> None:
    """Of 4000 requests about a quarter; all of a whole sample, none of an empty one."""
    ids = [new_request_id() for _ in range(4000)]
    assert 850 < sum(is_sampled(one, 0.25) for one in ids) < 1150
    assert all(is_sampled(one, 1.0) for one in ids)
    assert not any(is_sampled(one, 0.0) for one in ids)

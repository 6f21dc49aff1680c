"""The settings of a service that its command line has."""

from typing import Annotated

from pydantic import Field

from waterflow.records.base import Record

DEFAULT_MAX_BODY_BYTES = 16 * 2**20


class ServiceSettings(Record):
    """Address, workers and tokens of a service. `pipelines` are all where none is named."""

    pipelines: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    tokens_file: str | None = None
    max_body_bytes: Annotated[int, Field(ge=1024)] = DEFAULT_MAX_BODY_BYTES

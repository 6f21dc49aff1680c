"""How the champion answers requests. Nothing here changes what is trained or decided."""

from typing import Annotated, Literal

from pydantic import Field

from waterflow.config.schema.base import Section


class LogConfig(Section):
    """What is recorded of the answers. What is not recorded is never written to a disk.

    `sample` is the share of requests, `columns` the features (all by default, none if empty), `keep_days` how many
    days a row is kept after the day of its answer.
    """

    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    columns: tuple[str, ...] | None = None
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = 90


class ServingConfig(Section):
    """Settings of the serving service. They enter no action key.

    `contract` says what happens to a row that breaks the contract: `reject` refuses the request, `warn` answers and
    names the breach. A row that the model cannot take is always refused. `log` is the record of the answers. With
    `shadow` the version of that alias answers the same rows, for the record alone.
    """

    contract: Literal["reject", "warn"] = "reject"
    log: LogConfig = LogConfig()
    shadow: Literal["challenger"] | None = None

"""Records of actions: their inputs, and whether they ran. The inputs are what decided a step."""

from datetime import datetime

from waterflow.records.base import Record


class Action(Record):
    """All that decides a step, for comparison.

    Equal keys mean equal work. `inputs` are digests and ids, `config` the step's own section with dotted keys and
    values as JSON, `code` the sha256 of each module's source, `environment` Python, platform and versions of packages.
    `subject` is the candidate of `train`.
    """

    step: str
    subject: str = ""
    inputs: dict[str, str]
    config: dict[str, str]
    code: dict[str, str]
    environment: dict[str, str]


class ExecutedAction(Record):
    """An action of one run. `cached_from` and `cached_at` name the earlier run whose result was used, if any.

    `misses` say why results of earlier runs were not used; `note` what else a reader should know.
    """

    action: Action
    key: str
    cached_from: str | None = None
    cached_at: datetime | None = None
    forced: bool = False
    misses: tuple[str, ...] = ()
    note: str = ""

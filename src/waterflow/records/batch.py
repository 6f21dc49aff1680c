"""Records of batch scoring."""

from waterflow.config.schema import Source
from waterflow.records.base import Record
from waterflow.records.run import Window


class BatchRequest(Record):
    """The request to predict many rows.

    `reference` is a pipeline, whose champion predicts, or `PIPELINE@VERSION`. Without a `source` rows come from the
    pipeline's data set. `output` is a file or `s3://…`, whose ending says what it is: `.parquet` or `.csv`.
    """

    reference: str
    output: str
    source: Source | None = None
    window: Window = Window()


class BatchScored(Record):
    """What a batch wrote. `breaks` counts breaks of the contract, `path` names the predictor."""

    pipeline: str
    version: int
    rows: int
    output: str
    breaks: int = 0
    path: str = ""

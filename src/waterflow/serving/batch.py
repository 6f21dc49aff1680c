"""Batch scoring: many rows in chunks, in bounded memory."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from waterflow.config.compose import compose_pipeline
from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.row_identity import hash_rows, scramble
from waterflow.data.sources.batches import iterate_source
from waterflow.errors import DataError, StoreError
from waterflow.lineage.version_history import VersionHistory, find_version
from waterflow.provenance.hashing import digest_of
from waterflow.records.batch import BatchRequest, BatchScored
from waterflow.records.serving import FeatureColumn, Scores
from waterflow.resources import Resources
from waterflow.serving.batch_output import check_output, open_output
from waterflow.serving.batch_rows import BatchRows, columns_of
from waterflow.serving.compiled.equality import ChosenPredictor, choose_predictor, plain_columns
from waterflow.serving.holdout_rows import store_holdout_rows
from waterflow.serving.schema import build_features
from waterflow.stores.base import scratch_folder
from waterflow.stores.open import copy_object
from waterflow.tracking.model_files import load_signed, read_inputs
from waterflow.tracking.registry import CHAMPION, Version
from waterflow.training.parallelism import count_threads

logger = logging.getLogger(__name__)

BATCH_ROWS = 1 << 16


def score_batch(
    request: BatchRequest, resources: Resources, report: Callable[[int], None] = lambda rows: None
) -> BatchScored:
    """Predict the rows of a source into a file.

    The file appears when all is written; an error leaves what was there before. The same rows and version give the same
    bytes, prediction ids among them. `report` is called with the number of rows so far. Without a row nothing is
    written.

    Raises ConfigError for an unknown version or output, SignatureError for a model that nobody trusted signed,
    DataError for rows that the model cannot take, ContractError for rows that break the contract, UnreachableError when
    a server does not answer.
    """
    check_output(request.output)
    reference = request.reference if "@" in request.reference else f"{request.reference}@{CHAMPION}"
    version = find_version(reference, resources)
    VersionHistory(version, resources).check_facts()
    config = compose_pipeline(resources.project, version.model, checked=False)
    chosen, features = load_predictor(version, config, resources)
    rows = BatchRows(config, features, request.source or config.dataset, request.window)
    tables = iterate_source(rows.source, resources.project, copy_object, BATCH_ROWS, request.window)
    done = 0
    with open_output(request.output, resources.project.root) as writer:
        for frame in rows.read(tables):
            scores = chosen.predictor.predict(columns_of(frame, features))
            writer.write(_table(frame, scores, version, rows))
            done += len(frame)
            report(done)
    return BatchScored(
        pipeline=version.model,
        version=version.version,
        rows=done,
        output=request.output,
        breaks=rows.breaks,
        path=chosen.reason or "compiled",
    )


def load_predictor(
    version: Version, config: PipelineConfig, resources: Resources
) -> tuple[ChosenPredictor, tuple[FeatureColumn, ...]]:
    """Load a verified version, with the columns that it takes.

    It is the fast path where that is proven equal. Raises SignatureError or StoreError where its files are not those
    that were signed.
    """
    with scratch_folder() as folder:
        files = resources.models.fetch_signed(version.model_id, version.model, folder)
        features = build_features(read_inputs(files.folder), config.contract)
        pipeline = load_signed(files, resources.keyring)
        try:
            store_holdout_rows(version, resources, folder / "holdout.parquet")
            rows: Any = plain_columns(read_parquet(folder / "holdout.parquet"), features)
        except (StoreError, DataError) as error:
            logger.warning("version %d of %s: %s", version.version, version.model, error)
            rows = None
    tolerance = config.promotion.staging.tolerance
    return choose_predictor(pipeline, features, rows, tolerance, threads=count_threads()), features


def _table(frame: pd.DataFrame, scores: Scores, version: Version, rows: BatchRows) -> pa.Table:
    kept = [name for name in rows.identity if name in frame]
    columns = {name: pa.array(frame[name], from_pandas=True) for name in kept}
    columns["prediction_id"] = prediction_ids(frame, version, rows)
    columns["prediction"] = pa.array(scores.labels)
    if scores.probabilities is not None:
        for position, name in enumerate(scores.classes):
            columns[f"probability_{name}"] = pa.array(scores.probabilities[:, position])
    columns["version"] = pa.repeat(pa.scalar(version.version, pa.int32()), len(frame))
    return pa.table(columns)


def prediction_ids(frame: pd.DataFrame, version: Version, rows: BatchRows) -> pa.Array:
    """Return an id for each row, of 32 hexadecimal digits.

    The same row and version always have the same. A row is known by the pipeline's key; without one by its features and
    its number.
    """
    names = [name for name in rows.config.key if name in frame]
    if names != list(rows.config.key) or not names:
        names = [feature.name for feature in rows.features if feature.name in frame]
        hashes = scramble(hash_rows(frame, names) ^ frame.index.to_numpy().astype(np.uint64))
    else:
        hashes = hash_rows(frame, names)
    seed = digest_of([version.model, version.version, version.model_id])[:16]
    return _as_hexadecimal(hashes, seed)


def _as_hexadecimal(hashes: NDArray[np.uint64], start: str) -> pa.Array:
    digits = scramble(hashes ^ np.uint64(int(start, 16))).astype(">u8").tobytes().hex()
    texts = np.frombuffer(digits.encode(), dtype="S16").astype("U16")
    return pa.array(np.char.add(start, texts))

"""The local cache of verified models. With it a service starts while MLflow, store and database are away."""

import json
import logging
import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from waterflow.config.project import Project
from waterflow.config.schema import PipelineConfig
from waterflow.errors import DataError, SignatureError, StoreError, UnreachableError
from waterflow.records.serving import ServedVersion
from waterflow.resources import Resources
from waterflow.serving.champions import CurrentChampion
from waterflow.serving.holdout_rows import store_holdout_rows
from waterflow.serving.schema import build_features
from waterflow.serving.state import HOLDOUT_FILE, Assignment, make_private
from waterflow.stores.base import scratch_folder
from waterflow.tracking.model_files import SignedFiles, check_signed, read_example, read_inputs
from waterflow.tracking.registry import Version

logger = logging.getLogger(__name__)

SIGNATURE_FILE = "signature.json"
KEPT_MODELS = 3  # of a pipeline, the newest first: a rollback finds its model here


class ModelCache:
    """Model files below `home/serving/models`. Only their owner can read them.

    The signature lies beside the files, and both are verified whenever they are read.
    """

    def __init__(self, project: Project) -> None:
        self._folder = project.home / "serving" / "models"
        make_private(self._folder.parent)
        make_private(self._folder)

    def fetch(self, champion: CurrentChampion, config: PipelineConfig, resources: Resources) -> Assignment:
        """Return what workers need of a champion. Its files are downloaded unless they are here.

        Raises SignatureError when no trusted key signed version or model, StoreError when its files are gone or
        altered, UnreachableError when a server does not answer.
        """
        version, row = champion.version, champion.row
        if version.problem:
            raise SignatureError(f"version {version.version} of {version.model}: {version.problem}")
        files = self._find(version.model, version.model_id, resources) or self._download(version, resources)
        _keep_holdout_rows(version, files.folder.with_name(HOLDOUT_FILE), resources)
        return Assignment(
            version=ServedVersion(
                pipeline=version.model,
                version=version.version,
                model_id=version.model_id,
                model_digest=files.digest,
                sequence=row.sequence if row else None,
                moved_by_hand=champion.moved_by_hand,
            ),
            signature=files.signature,
            folder=str(files.folder),
            features=build_features(read_inputs(files.folder), config.contract),
            contract=config.serving.contract,
            log=config.serving.log,
            shadow=config.serving.shadow,
            example=read_example(files.folder),
            since=datetime.now(UTC),
            effective_at=champion.effective_at,
            tolerance=config.promotion.staging.tolerance,
        )

    def remove_unused(self, pipeline: str, used: Iterable[str]) -> None:
        """Remove models of a pipeline. Those in use and the newest stay."""
        folders = sorted((self._folder / pipeline).glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        kept = set(used)
        for folder in folders[KEPT_MODELS:]:
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _find(self, pipeline: str, model_id: str, resources: Resources) -> SignedFiles | None:
        """Return a cached model that verifies. What does not is removed, and fetched again."""
        folder = self._folder / pipeline / model_id
        try:
            kept = json.loads((folder / SIGNATURE_FILE).read_text("utf-8"))
            files = SignedFiles(folder / "model", pipeline, model_id, kept["digest"], kept["signature"])
            check_signed(files, resources.keyring)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        os.utime(folder)
        return files

    def _download(self, version: Version, resources: Resources) -> SignedFiles:
        parent = self._folder / version.model
        make_private(parent)
        with scratch_folder() as scratch:
            files = resources.models.fetch_signed(version.model_id, version.model, scratch)
            partial = parent / f".{version.model_id}.{os.getpid()}"
            shutil.rmtree(partial, ignore_errors=True)
            make_private(partial)
            shutil.copytree(files.folder, partial / "model")
            kept = {"digest": files.digest, "signature": files.signature}
            (partial / SIGNATURE_FILE).write_text(json.dumps(kept), "utf-8")
        partial.rename(parent / version.model_id)
        final = SignedFiles(
            parent / version.model_id / "model", version.model, version.model_id, files.digest, files.signature
        )
        check_signed(final, resources.keyring)
        return final


def _keep_holdout_rows(version: Version, path: Path, resources: Resources) -> None:
    """Keep the rows that the fast path is compared on. Without them the pipeline serves."""
    if path.exists():
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        store_holdout_rows(version, resources, partial)
        partial.replace(path)
    except (StoreError, DataError, UnreachableError) as error:
        logger.warning("%s version %d: its holdout rows cannot be read: %s", version.model, version.version, error)
    finally:
        partial.unlink(missing_ok=True)

"""Import the heavy libraries once, in the scheduler, before LocalExecutor forks its workers from it.

A task that imports MLflow and scikit-learn itself spends most of its time on that. Third-party libraries only: the
product's own source is mounted for editing, and a module imported here would stay as it was at the scheduler's start.
Nothing is computed here: a thread pool started before the fork would hang in the children.
"""

import compileall
import contextlib
import gc
import importlib
import os
import sys
import warnings

# What the tasks of a training run were seen to import, found by comparing `sys.modules` before the fork and at a task's end.
LIBRARIES = (
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "airflow.dag_processing.bundles.local",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "boto3.s3.inject",
    "git",
    "hydra",
    "hydra._internal.core_plugins.basic_launcher",
    "hydra._internal.core_plugins.basic_sweeper",
    "hydra._internal.core_plugins.importlib_resources_config_source",
    "jinja2.ext",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "mlflow",
    "mlflow.data.pandas_dataset",
    "mlflow.models",
    "mlflow.models.display_utils",
    "mlflow.pyfunc.scoring_server",
    "mlflow.sklearn",
    "mlflow.store.artifact.mlflow_artifacts_repo",
    "mlflow.tracing.processor.otel",
    "mlflow.tracking.request_header.registry",
    "narwhals._pandas_like.dataframe",
    "narwhals._pandas_like.namespace",
    "narwhals.stable.v2",
    "omegaconf",
    "opentelemetry.sdk.metrics",
    "optuna",
    "pandas",
    "pandas.core.methods.to_dict",
    "pandera.pandas",
    "psycopg2",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "pydantic",
    "scipy.stats",
    "sklearn.compose",
    "sklearn.datasets",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.impute",
    "sklearn.inspection",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
    "skops.io",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "xgboost",
    "yaml",
)


BYTECODE = "/var/lib/waterflow/bytecode"


def is_scheduler() -> bool:
    return sys.argv[1:2] == ["scheduler"]


def keep_bytecode_of(source: str) -> None:
    """Compile the mounted source, which cannot keep its bytecode beside it, and let the workers look in that place.

    The workers alone: what the scheduler imports has its bytecode in the image.
    """
    sys.pycache_prefix = BYTECODE
    compileall.compile_dir(source, quiet=2)
    sys.pycache_prefix = None
    os.register_at_fork(after_in_child=lambda: setattr(sys, "pycache_prefix", BYTECODE))


if is_scheduler():
    # skops looks through every loaded module, and each look trips the deprecation notices of Airflow's lazy ones: a
    # thousand lines and ten seconds per task. The filter is inherited by the workers.
    warnings.filterwarnings("ignore", category=FutureWarning)
    for library in LIBRARIES:
        # What a later version moved costs time in each task, not the scheduler.
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
    # Reads the 1 MB of JSON that describes S3, once; boto3's default session keeps it. No request is made.
    importlib.import_module("boto3").client("s3")
    keep_bytecode_of("/opt/waterflow/src")
    # A task makes some ten thousand objects beside the million that were imported; collecting them early pays for nothing.
    gc.set_threshold(100_000, 20, 20)

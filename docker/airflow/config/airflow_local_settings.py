"""Import the heavy libraries once, in the scheduler, before LocalExecutor forks its workers from it.

A task that imports MLflow and scikit-learn itself spends most of its time on that. Third-party libraries only: the
product's own source is mounted for editing, and a module imported here would stay as it was at the scheduler's start.
Nothing is computed here: a thread pool started before the fork would hang in the children.
"""

import importlib
import sys
import warnings

LIBRARIES = (
    "boto3",
    "git",
    "hydra",
    "hydra.core.global_hydra",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
    "mlflow",
    "mlflow.data.pandas_dataset",
    "mlflow.models",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.artifact.mlflow_artifacts_repo",
    "mlflow.tracking",
    "omegaconf",
    "pandas",
    "psycopg2",
    "pyarrow.parquet",
    "pydantic",
    "scipy.stats",
    "skops.io",
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
    "sqlalchemy.dialects.postgresql.psycopg2",
    "yaml",
)


def is_scheduler() -> bool:
    return sys.argv[1:2] == ["scheduler"]


if is_scheduler():
    # skops looks through every loaded module, and each look trips the deprecation notices of Airflow's lazy ones: a
    # thousand lines and ten seconds per task. The filter is inherited by the workers.
    warnings.filterwarnings("ignore", category=FutureWarning)
    for library in LIBRARIES:
        importlib.import_module(library)
    # The mounted source cannot keep its bytecode beside it. Set only now: what was imported above has its own.
    sys.pycache_prefix = "/var/lib/waterflow/bytecode"

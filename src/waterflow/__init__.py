"""Waterflow: a self-hosted training platform on Airflow and MLflow.

`run`, `load_champion`, `load_dataset`, `load_predictions` and `load_model` are for notebooks and scripts; see
`waterflow.notebook`. They are imported when first used, so that `import waterflow` costs nothing.
"""

from importlib import import_module
from typing import Any

# By name, for what an import statement reaches is part of the code digest of every step.
_PUBLIC = dict.fromkeys(
    ("load_champion", "load_dataset", "load_model", "load_predictions", "run"), "waterflow.notebook"
)


def __getattr__(name: str) -> Any:
    """Import a public function when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'waterflow' has no attribute {name!r}; it has {', '.join(_PUBLIC)}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])

"""Data sets that a package carries."""

from pathlib import Path

import pandas as pd

from waterflow.config.schema import PackageSource
from waterflow.datasets.loaders import LOADERS
from waterflow.errors import ConfigError


def read_package(source: PackageSource, home: Path) -> pd.DataFrame:
    """Load a data set by its loader's name. Raises ConfigError on an unknown name."""
    if source.loader not in LOADERS:
        raise ConfigError(f"dataset.loader: {source.loader!r} is unknown; valid: {', '.join(LOADERS)}")
    return LOADERS[source.loader](home)

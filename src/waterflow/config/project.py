"""The folders of a project. These are its configuration, its root, and its home for everything written."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from waterflow.errors import ConfigError


@dataclass(frozen=True)
class Project:
    """The folders of a project. `conf` has the YAML, paths start at `root`, everything is written to `home`."""

    conf: Path
    home: Path

    @property
    def root(self) -> Path:
        """The folder above `conf/`."""
        return self.conf.parent

    @property
    def lock_file(self) -> Path:
        """The locked requirements."""
        return self.root / "requirements.lock"


def find_project(environment: Mapping[str, str] | None = None, start: Path | None = None) -> Project:
    """Return the project of a command or task.

    It is named by `WATERFLOW_CONF`, else has the nearest `conf/pipeline` at or above `start` (by default the working
    directory), else is this module's checkout. `WATERFLOW_HOME` sets its home. Raises ConfigError when none of these
    has pipelines.
    """
    environment = os.environ if environment is None else environment
    named = environment.get("WATERFLOW_CONF")
    if named:
        conf = Path(named).resolve()
        if not (conf / "pipeline").is_dir():
            raise ConfigError(f"WATERFLOW_CONF: {named!r} has no folder pipeline/; name the folder conf/ of a project")
    else:
        here = (start or Path.cwd()).resolve()
        checkout = Path(__file__).resolve().parents[3]
        folders = [folder / "conf" for folder in (here, *here.parents, checkout)]
        found = [folder for folder in folders if (folder / "pipeline").is_dir()]
        if not found:
            raise ConfigError(f"no conf/pipeline/ at or above {here}; go to a project or set WATERFLOW_CONF")
        conf = found[0]
    home = Path(environment.get("WATERFLOW_HOME") or conf.parent / ".waterflow").resolve()
    return Project(conf=conf, home=home)

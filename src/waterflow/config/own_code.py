"""The user's own Python. It lies in the folder `own/` beside `conf/` and is named by dotted paths in YAML."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from waterflow.config.suggestions import find_near
from waterflow.errors import ConfigError

OWN_FOLDER = "own"
EXTRAS = {"catboost": "catboost", "lightgbm": "lightgbm", "torch": "bert"}


def add_own_folder(root: Path) -> None:
    """Put a project's folder `own/` on `sys.path`. Installed packages come first; without the folder nothing happens.

    Processes that are started with this path find the same modules.
    """
    folder = root / OWN_FOLDER
    if folder.is_dir() and str(folder) not in sys.path:
        sys.path.append(str(folder))


def load_object(path: str, place: str) -> Any:
    """Import what a dotted path names, such as `taxi.features.add_speed`.

    `place` is its place in the YAML. Raises ConfigError that says where was looked, and which name may be meant.
    """
    module_name, _, name = path.rpartition(".")
    if not module_name:
        raise ConfigError(f"{place}: {path!r} is no dotted path; write it like package.module.name")
    try:
        module = import_module(module_name)
    except Exception as error:  # a user's module may raise anything on import
        reason = " ".join(str(error).split())
        raise ConfigError(f"{place}: {path!r} cannot be imported ({reason}); {_remedy(module_name, error)}") from error
    if not hasattr(module, name):
        near = find_near(name, [entry for entry in dir(module) if not entry.startswith("_")])
        meant = f"did you mean '{module_name}.{near}'?" if near else "fix the path"
        raise ConfigError(f"{place}: {path!r} does not exist in {module_name}{_file_of(module)}; {meant}")
    return getattr(module, name)


def load_function(path: str, place: str) -> Callable[..., Any]:
    """Import a function by its dotted path. Raises ConfigError."""
    found = load_object(path, place)
    if not callable(found):
        raise ConfigError(f"{place}: {path!r} is a {type(found).__name__}, no function; name a function")
    return found


def _file_of(module: Any) -> str:
    """Return a module's file in brackets. Of an installed one the name says enough."""
    path = str(getattr(module, "__file__", None) or "site-packages")
    return "" if "site-packages" in path else f" ({path})"


def _remedy(module_name: str, error: Exception) -> str:
    top = module_name.partition(".")[0]
    if top in EXTRAS:
        return f"it comes with the extra {EXTRAS[top]!r}: `make install-{EXTRAS[top]}`"
    if not isinstance(error, ModuleNotFoundError):
        return "fix the module or the path"
    missing = error.name or module_name
    folders = [entry for entry in sys.path if Path(entry).name == OWN_FOLDER]
    if missing != module_name and not module_name.startswith(f"{missing}."):
        return f"install {missing}, or put it into {OWN_FOLDER}/"
    places = [str(Path(folder, *missing.split("."))) + ".py" for folder in folders]
    looked = f" (looked for {', '.join(places)})" if places else f" beside conf/, as {missing.replace('.', '/')}.py"
    siblings = [path.stem for folder in folders for path in Path(folder, *missing.split(".")[:-1]).glob("[!_.]*")]
    near = find_near(missing.rpartition(".")[2], siblings)
    meant = f"; did you mean '{'.'.join([*missing.split('.')[:-1], near])}'?" if near else ""
    return f"install it or fix the path, or put it into {OWN_FOLDER}/{looked}{meant}"

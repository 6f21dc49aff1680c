"""Checks of overrides such as `KEY=VALUE` and `~KEY`. The grammar is Hydra's.

Every one is checked before Hydra sees it. A refusal names the override, what is valid, and the quoting that helps.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from waterflow.config.header import Outline, check_known, check_model_file, check_names_once, group_options
from waterflow.config.suggestions import find_near, list_valid
from waterflow.errors import ConfigError

GROUPS = ("strategy", "profile", "scenario")
MODELS = "model@candidates"


def check_overrides(overrides: Sequence[str], conf: Path, outline: Outline | None = None) -> None:
    """Raise ConfigError for an override that cannot be applied. Names are compared with the files of `conf`."""
    for override in overrides:
        _check_form(override, conf)
        key, _, value = override.lstrip("+").partition("=")
        place = f"override {override!r}"
        if key == "pipeline":
            raise ConfigError(f"{place}: the pipeline is the command's argument: `waterflow run {value or 'PIPELINE'}`")
        if key in GROUPS and override.startswith("+"):
            raise ConfigError(f"{place}: a file is chosen without a sign; write {override.lstrip('+')}")
        _check_syntax(override, place)
        if key in GROUPS and key != "scenario":  # which pipelines a scenario fits is asked later
            check_known(value, group_options(conf, key), place)
        if key == MODELS:
            models = [name.strip() for name in value.strip("[]").split(",")]
            check_names_once(models, override)
            for model in models:
                check_known(model, group_options(conf, "model"), place)
                check_model_file(conf, model)
    if outline is not None:
        _check_candidates(overrides, outline)


def allow_new_key(override: str, conf: Path) -> str:
    """Prefix an override with `++`. The YAML then need not have its key.

    The choice of a group's file, such as `strategy=quick`, stays as it is. The schema refuses unknown keys.
    """
    key = override.partition("=")[0]
    plain = key[:1].isalnum() and "@" not in key and not (conf / key).is_dir()
    return f"++{override}" if plain else override


def _check_form(override: str, conf: Path) -> None:
    if override.startswith("~") and len(override) > 1:
        return
    key, equals, _ = override.partition("=")
    if not equals:
        options = {name: group for group in GROUPS for name in group_options(conf, group)}
        near = find_near(override, options)
        example = f"{options[near]}={near}" if near else "strategy=quick"
        raise ConfigError(f"override {override!r}: it has no =; write KEY=VALUE, such as {example}")
    plain = key.lstrip("+")
    if not plain or plain != plain.strip() or plain.startswith("-"):
        meant = f"{plain.strip('- ')}={override.partition('=')[2].strip()}"
        raise ConfigError(
            f"override {override!r}: {key!r} is no key; write KEY=VALUE without spaces or dashes before it"
            + (f", such as {meant}" if plain.strip("- ") else ", such as strategy=quick")
        )


def _check_syntax(override: str, place: str) -> None:
    """Raise ConfigError for a value that is not one value."""
    try:
        parsed = OverridesParser.create().parse_override(override)
        is_choice = parsed.is_sweep_override()
    except HydraException as error:
        raise ConfigError(f"{place}: {_advise(override)}") from error
    key, _, value = override.partition("=")
    if is_choice and key in GROUPS:
        raise ConfigError(
            f"{place}: a run has one {key}; write {' or '.join(f'{key}={name}' for name in value.split(','))}"
        )
    if is_choice:
        number = value.replace(",", ".")
        decimal = f", a number as {key}={number}" if number.replace(".", "", 1).isdigit() else ""
        raise ConfigError(
            f"{place}: a comma lists several values; write a list as {shlex.quote(f'{key}=[{value}]')}, "
            f"a text as {_quote(override)}{decimal}"
        )


def _advise(override: str) -> str:
    key, _, value = override.partition("=")
    if value[:1] in ("[", "{"):
        closing = {"[": "]", "{": "}"}[value[0]]
        form = "[first,second]" if closing == "]" else "{name: value}"
        return f"{value!r} is no list or mapping that can be read; write it like {shlex.quote(f'{key}={form}')}, " + (
            f"a text that begins with {value[0]} as {_quote(override)}"
        )
    special = sorted(set(value) & set("=#(){}[],'\"\\:$&;!<>|*?`"))
    found = f"{' '.join(special)} in a value" if special else "such a value"
    return f"{found} needs quotes of its own; in a shell write {_quote(override)}"


def _quote(override: str) -> str:
    """Return an override with quotes, as a shell takes it."""
    key, _, value = override.partition("=")
    text = value.strip("'\"") if value[:1] in "'\"" else value
    mark = '"' if "'" in text else "'"
    escaped = text.replace(mark, f"\\{mark}")
    return shlex.quote(f"{key}={mark}{escaped}{mark}") if mark == '"' else f'"{key}={mark}{escaped}{mark}"'


def _check_candidates(overrides: Sequence[str], outline: Outline) -> None:
    """Raise ConfigError for settings of an unknown candidate."""
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    if MODELS in keys:
        return
    for override, key in zip(overrides, keys, strict=True):
        section, _, rest = key.partition(".")
        name = rest.partition(".")[0]
        is_new = f"candidates.{name}.estimator" in keys or (rest == name and not override.startswith("~"))
        if section == "candidates" and name and name not in outline.candidates and not is_new:
            raise ConfigError(
                f"override {override!r}: the run has no candidate {name!r}; {list_valid(name, outline.candidates)}"
            )

"""References of OmegaConf, `${…}`. Text may contain them by accident."""

import yaml
from omegaconf.errors import GrammarParseError
from omegaconf.grammar_parser import parse

from waterflow.config.yaml_reader import iterate_scalars
from waterflow.errors import ConfigError

UNRESOLVED = (
    "${…} stands for another key, or as ${oc.env:NAME} for a variable, and this one cannot be resolved; "
    "write \\${ where the text itself is meant, or fix the name"
)


def check_references(source: str, place: str) -> None:
    """Raise ConfigError for a `${` that does not parse. Hydra would refuse it without a place."""
    if "${" not in source:
        return
    root = yaml.compose(source, yaml.SafeLoader)
    for scalar, key in iterate_scalars(root, place) if root is not None else ():
        try:
            parse(scalar.value)
        except GrammarParseError as error:
            line = scalar.start_mark.line + 1
            raise ConfigError(f"{place}:{line}: {key}: {scalar.value!r}: {UNRESOLVED}") from error

"""The dotted paths of a pipeline's YAML, by step."""

import inspect
from collections.abc import Iterator

from waterflow.config.estimators import build_transformer
from waterflow.config.own_code import load_function
from waterflow.config.schema import OwnFeatures, PipelineConfig, PythonSource
from waterflow.errors import ConfigError


def data_code(config: PipelineConfig) -> list[str]:
    """Return the paths that decide rows and split."""
    return [path for _, path in _data_functions(config)]


def fit_code(config: PipelineConfig, candidate: str) -> list[str]:
    """Return the paths that decide a fitted candidate. The metric of its tuning is one."""
    tuned = config.metrics.own.get(config.metrics.main) if config.search_of(candidate) else None
    return [*model_code(config, candidate), *([tuned.function] if tuned else [])]


def model_code(config: PipelineConfig, candidate: str) -> list[str]:
    """Return the paths that run when a candidate's model predicts."""
    blocks = [block.transformer for block in config.preprocessing_of(candidate) if block.transformer]
    features = [config.features.function] if isinstance(config.features, OwnFeatures) else []
    return [config.candidates[candidate].estimator, *features, *blocks]


def comparison_code(config: PipelineConfig) -> list[str]:
    """Return the paths of metrics and baseline. They decide a comparison beside the models."""
    return [path for _, path in _comparison_functions(config)]


def all_code(config: PipelineConfig) -> list[str]:
    """Return every path of a pipeline, each once."""
    models = [path for candidate in config.candidates for path in model_code(config, candidate)]
    return list(dict.fromkeys([*data_code(config), *models, *comparison_code(config)]))


def check_code(config: PipelineConfig, place: str) -> None:
    """Import every function and transformer. Raises ConfigError naming its place in the YAML."""
    features = [("features.function", config.features.function)] if isinstance(config.features, OwnFeatures) else []
    for key, path in [*_data_functions(config), *features, *_comparison_functions(config)]:
        function = load_function(path, f"{place}: {key}")
        if (
            config.weight
            and key.startswith("metrics.")
            and "sample_weight" not in inspect.signature(function).parameters
        ):
            raise ConfigError(
                f"{place}: {key}: {path!r} takes no sample_weight, and the pipeline has a weight; add the argument"
            )
    for candidate in config.candidates:
        for position, block in enumerate(config.preprocessing_of(candidate)):
            if block.transformer:
                build_transformer(block, 0, f"{place}: {config.preprocessing_place(candidate)}.{position}")


def _data_functions(config: PipelineConfig) -> Iterator[tuple[str, str]]:
    if isinstance(config.dataset, PythonSource):
        yield "dataset.function", config.dataset.function
    if config.split.function:
        yield "split.function", config.split.function


def _comparison_functions(config: PipelineConfig) -> Iterator[tuple[str, str]]:
    for name, own in config.metrics.own.items():
        yield f"metrics.own.{name}.function", own.function
    if "." in config.baseline:
        yield "promotion.baseline", config.baseline

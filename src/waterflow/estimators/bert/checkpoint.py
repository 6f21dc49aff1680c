"""Pretrained checkpoints. They are a folder, a folder of an installed package, or a Hugging Face name."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from waterflow.errors import ConfigError, FitError, first_line

PACKAGE = "package:"
EXTRA = ("torch", "transformers")
PROBE_SECONDS = 10.0


def check_extra() -> None:
    """Raise ConfigError without the optional packages. The error has the commands that install them."""
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"{' and '.join(missing)} not installed; run `make install-bert` (elsewhere: pip install "
            "'waterflow-mlops[bert]'; on the stack: BERT=yes in .env and `make build up`), or leave the candidate out"
        )


def find_checkpoint(checkpoint: str) -> str:
    """Return what transformers loads for a checkpoint. It is a folder's path, or the name unchanged.

    `package:NAME/FOLDER` is a folder inside an installed package. Raises ConfigError when a folder is missing.
    """
    folder = _package_folder(checkpoint) if checkpoint.startswith(PACKAGE) else Path(checkpoint).expanduser()
    if folder is not None and (folder / "config.json").is_file():
        return str(folder)
    is_name = checkpoint.count("/") <= 1 and not checkpoint.startswith((PACKAGE, ".", "/", "~"))
    if folder is None or not is_name or folder.is_dir():
        raise ConfigError(
            f"checkpoint: {checkpoint!r} is no folder with a config.json; give a Hugging Face name such as "
            "distilbert-base-uncased, the folder of a saved model, or package:NAME/FOLDER of an installed package"
        )
    return checkpoint


def load_checkpoint(checkpoint: str, revision: str | None, labels: dict[int, str]) -> tuple[Any, Any]:
    """Load a model and its tokenizer. The model has a head for `labels` (names by number).

    The local cache is used without any request. Raises FitError within seconds when the name is unknown or cannot be
    reached.
    """
    place = find_checkpoint(checkpoint)
    try:
        try:
            model, tokenizer = _load(place, revision, labels, local_files_only=True)
        except OSError:
            if Path(place).is_dir():
                raise
            _ask_hub(place, revision)
            model, tokenizer = _load(place, revision, labels, local_files_only=False)
    except (OSError, ValueError) as error:
        reason = first_line(error) or type(error).__name__
        raise FitError(
            f"checkpoint: {checkpoint!r} cannot be loaded ({reason}); give one that transformers' "
            "AutoModelForSequenceClassification and AutoTokenizer load"
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    # Keep the paths of this machine out of what is logged.
    model.name_or_path = tokenizer.name_or_path = checkpoint
    return model, tokenizer


def _load(place: str, revision: str | None, labels: dict[int, str], *, local_files_only: bool) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    options = {"revision": revision or "main", "local_files_only": local_files_only}
    model = AutoModelForSequenceClassification.from_pretrained(
        place,
        **options,
        num_labels=len(labels),
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
        problem_type="single_label_classification",
        ignore_mismatched_sizes=True,  # the head of another task is replaced
    )
    return model, AutoTokenizer.from_pretrained(place, **options)


def _package_folder(checkpoint: str) -> Path | None:
    name, _, inside = checkpoint.removeprefix(PACKAGE).partition("/")
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / inside


def _ask_hub(name: str, revision: str | None) -> None:
    """Ask the hub once for a name. A download would retry for half a minute."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(name, revision=revision, timeout=PROBE_SECONDS)
    except Exception as error:  # no network, offline mode, unknown or private: the fix is the same
        reason = first_line(error) or type(error).__name__
        raise FitError(
            f"checkpoint: {name!r} is neither a folder nor in the local Hugging Face cache, and the hub does not give "
            f"it ({reason}); check the name and the network, or give the folder of a saved model"
        ) from error

"""The forms of `mlflow models serve`. Its clients work unchanged."""

from collections.abc import Sequence
from typing import Any

from waterflow.serving.answering import Answer, AskedRows, RequestError, class_names

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
ERROR_CODES = {404: "RESOURCE_DOES_NOT_EXIST", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 422: "BAD_REQUEST"}


def read_request(body: Any, names: Sequence[str]) -> AskedRows:
    """Return the rows of a body. Raises RequestError for another form. `params` are ignored, as no model has any."""
    given = [form for form in FORMS if isinstance(body, dict) and form in body]
    if len(given) != 1:
        raise RequestError(422, f"the body has none or several of {', '.join(FORMS)}; send an object with one of them")
    form = given[0]
    content = body[form]
    if form == "dataframe_split":
        return _read_split(content)
    if form == "inputs" and isinstance(content, dict):
        listed = {name: values if isinstance(values, list) else [values] for name, values in content.items()}
        return AskedRows.of_columns(listed, form)
    if isinstance(content, list) and content and isinstance(content[0], list):
        return _read_rows(names, content, form)
    return AskedRows.of_records(content, names, form)


def write_answer(answer: Answer) -> dict[str, Any]:
    """Return the body of an answer. It has more than MLflow's `predictions`."""
    scores, version = answer.scores, answer.model.assignment.version
    body: dict[str, Any] = {
        "predictions": scores.labels,
        "version": version.version,
        "sequence": version.sequence,
        "prediction_ids": answer.ids,
    }
    if scores.probabilities is not None:
        names = class_names(scores.classes)
        body["probabilities"] = [dict(zip(names, row, strict=True)) for row in scores.probabilities.tolist()]
    if answer.model.threshold is not None:
        body["decision"] = {"positive": answer.model.positive, "threshold": answer.model.threshold}
    if answer.warnings:
        body["warnings"] = answer.warnings
    return body


def write_error(error: RequestError) -> dict[str, Any]:
    """Return the body of a refusal, with MLflow's code."""
    content: dict[str, Any] = {
        "error_code": ERROR_CODES.get(error.status, "BAD_REQUEST" if error.status < 500 else "INTERNAL_ERROR"),
        "message": str(error),
    }
    if error.breaks:
        content["breaks"] = [entry._asdict() for entry in error.breaks]
    return content


def _read_split(content: Any) -> AskedRows:
    columns, data = (content.get("columns"), content.get("data")) if isinstance(content, dict) else (None, None)
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RequestError(422, "dataframe_split: it has no columns; send `columns`, a list of names, and `data`")
    if len(set(columns)) < len(columns):
        raise RequestError(422, "dataframe_split: a column is listed twice; list each once")
    return _read_rows(columns, data, "dataframe_split")


def _read_rows(names: Sequence[str], rows: Any, place: str) -> AskedRows:
    """Turn lists of values into columns. `names` are those of their places."""
    if not isinstance(rows, list) or not rows:
        raise RequestError(422, f"{place}: it has no rows; send a list of one list a row")
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            found = f"{len(row)} values" if isinstance(row, list) else "no list"
            raise RequestError(422, f"{place}: row {number} has {found}; there are {len(names)} columns")
    return AskedRows.of_columns(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)), place)

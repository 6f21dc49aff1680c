"""The service's own form. `records` or `columns` in, labels and probabilities out."""

from collections.abc import Sequence
from typing import Any

from waterflow.serving.answering import Answer, AskedRows, RequestError, class_names

FORMS = ("records", "columns")
VALID = 'send {"records": [{column: value}]} or {"columns": {column: [value]}}'


def read_request(body: Any, names: Sequence[str]) -> AskedRows:
    """Return the rows of a body. Raises RequestError for another form."""
    if not isinstance(body, dict):
        raise RequestError(422, f"the body is no object; {VALID}")
    given = [form for form in FORMS if form in body]
    unknown = [name for name in body if name not in (*FORMS, "keys")]
    if len(given) != 1 or unknown:
        found = ", ".join(map(repr, list(body)[:5])) or "nothing"
        raise RequestError(422, f"the body has {found}; {VALID}, and `keys` if your rows have names")
    if given == ["records"]:
        return AskedRows.of_records(body["records"], names, "records", body.get("keys"))
    return AskedRows.of_columns(body["columns"], "columns", body.get("keys"))


def write_answer(answer: Answer) -> dict[str, Any]:
    """Return the body of an answer."""
    model, scores, version = answer.model, answer.scores, answer.model.assignment.version
    names = class_names(scores.classes)
    if scores.probabilities is None:
        predictions = [{"id": name, "prediction": label} for name, label in zip(answer.ids, scores.labels, strict=True)]
    else:
        rows = zip(answer.ids, scores.labels, scores.probabilities.tolist(), strict=True)
        predictions = [
            {"id": name, "prediction": label, "probabilities": dict(zip(names, row, strict=True))}
            for name, label, row in rows
        ]
    body: dict[str, Any] = {"pipeline": version.pipeline, "version": version.version, "sequence": version.sequence}
    if version.moved_by_hand:
        body["moved_by_hand"] = True
    if model.threshold is not None:
        body["decision"] = {"positive": model.positive, "threshold": model.threshold}
    body["predictions"] = predictions
    if answer.warnings:
        body["warnings"] = answer.warnings
    return body


def write_error(error: RequestError) -> dict[str, Any]:
    """Return the body of a refusal."""
    content: dict[str, Any] = {"status": error.status, "message": str(error)}
    if error.breaks:
        content["breaks"] = [entry._asdict() for entry in error.breaks]
    return {"error": content}

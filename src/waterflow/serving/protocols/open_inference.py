"""The Open Inference Protocol, version 2, in JSON. Each column is an input.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from collections.abc import Sequence
from typing import Any

from waterflow.records.serving import FeatureColumn
from waterflow.serving.answering import Answer, AskedRows, RequestError, class_names
from waterflow.serving.model_loading import ServedModel

DATATYPES = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "text": "BYTES",
    "category": "BYTES",
    "time": "BYTES",
}
INTEGERS = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
FLOATS = {"FP16", "FP32", "FP64"}
LABELS, PROBABILITIES = "prediction", "probabilities"
VALID = 'send {"inputs": [{"name": column, "shape": [rows], "datatype": "FP64", "data": [value]}]}'


def read_request(body: Any, names: Sequence[str]) -> AskedRows:
    """Return the rows of a body. Raises RequestError for another form."""
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(422, f"the body has no inputs; {VALID}")
    columns: dict[str, list[Any]] = {}
    for tensor in inputs:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str) or name in columns:
            raise RequestError(422, f"inputs: one has no name, or that of another; {VALID}")
        columns[name] = _read_tensor(tensor, name)
    _check_outputs(body.get("outputs"))
    key = body.get("id")
    asked = AskedRows.of_columns(columns, "inputs")
    named = [key] * asked.rows if isinstance(key, str) and key else None
    return AskedRows(asked.columns, asked.rows, named)


def write_answer(answer: Answer) -> dict[str, Any]:
    """Return the body of an answer. What the protocol has no place for stands in `parameters`."""
    scores, version = answer.scores, answer.model.assignment.version
    outputs: list[dict[str, Any]] = [
        {
            "name": LABELS,
            "datatype": _datatype_of(scores.labels),
            "shape": [len(scores.labels)],
            "data": _texts_unless_alike(scores.labels),
        }
    ]
    if scores.probabilities is not None:
        outputs.append(
            {
                "name": PROBABILITIES,
                "datatype": "FP64",
                "shape": list(scores.probabilities.shape),
                "data": scores.probabilities.ravel().tolist(),
                "parameters": {"classes": class_names(scores.classes)},
            }
        )
    parameters: dict[str, Any] = {"sequence": version.sequence, "prediction_ids": answer.ids}
    if answer.model.threshold is not None:
        parameters |= {"positive": answer.model.positive, "threshold": answer.model.threshold}
    if answer.warnings:
        parameters["warnings"] = answer.warnings
    body: dict[str, Any] = {
        "model_name": version.pipeline,
        "model_version": str(version.version),
        "outputs": outputs,
        "parameters": parameters,
    }
    if answer.asked.keys:
        body["id"] = answer.asked.keys[0]
    return body


def write_error(error: RequestError) -> dict[str, Any]:
    """Return the body of a refusal."""
    return {"error": str(error)}


def describe_model(model: ServedModel) -> dict[str, Any]:
    """Return the protocol's metadata of a model."""
    outputs = [{"name": LABELS, "datatype": _datatype_of(model.classes), "shape": [-1]}]
    if model.classes:
        outputs.append({"name": PROBABILITIES, "datatype": "FP64", "shape": [-1, len(model.classes)]})
    version = model.assignment.version
    return {
        "name": version.pipeline,
        "versions": [str(version.version)],
        "platform": "waterflow",
        "inputs": [_describe_input(feature) for feature in model.assignment.features],
        "outputs": outputs,
    }


def _describe_input(feature: FeatureColumn) -> dict[str, Any]:
    return {"name": feature.name, "datatype": DATATYPES[feature.kind], "shape": [-1]}


def _read_tensor(tensor: dict[str, Any], name: str) -> list[Any]:
    """Return the values of an input. Its shape is (rows,) or (rows, 1)."""
    data, shape = tensor.get("data"), tensor.get("shape")
    if not isinstance(data, list):
        raise RequestError(422, f"inputs: {name!r} has no data; send it in JSON (binary_data=False)")
    if data and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    if shape not in ([len(data)], [len(data), 1]):
        raise RequestError(
            422, f"inputs: {name!r} has {len(data)} values and the shape {str(shape)[:80]}; valid: [{len(data)}]"
        )
    datatype = tensor.get("datatype")
    if datatype not in ("BOOL", "BYTES", *INTEGERS, *FLOATS):
        raise RequestError(
            422, f"inputs: {name!r} is of datatype {str(datatype)[:80]!r}; valid: FP64, INT64, BOOL, BYTES"
        )
    return data


def _check_outputs(outputs: Any) -> None:
    if outputs is None:
        return
    if not isinstance(outputs, list) or not all(isinstance(entry, dict) for entry in outputs):
        raise RequestError(422, "outputs: send a list of objects with a name, or leave it out")
    unknown = [str(entry.get("name"))[:80] for entry in outputs if entry.get("name") not in (LABELS, PROBABILITIES)]
    if unknown:
        raise RequestError(422, f"outputs: {unknown[0]!r} is unknown; valid: {LABELS}, {PROBABILITIES}")


def _datatype_of(labels: Sequence[Any]) -> str:
    kinds = {type(label) for label in labels}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int}:
        return "INT64"
    return "FP64" if not kinds or kinds <= {int, float} else "BYTES"


def _texts_unless_alike(labels: list[Any]) -> list[Any]:
    return [str(label) for label in labels] if _datatype_of(labels) == "BYTES" else labels

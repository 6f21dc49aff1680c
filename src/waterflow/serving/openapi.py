"""OpenAPI 3.1 of the service, from signature and contract."""

from collections.abc import Mapping
from typing import Any

from waterflow.records.serving import FeatureColumn
from waterflow.serving.answering import class_names
from waterflow.serving.model_loading import ServedModel
from waterflow.serving.schema import describe
from waterflow.serving.state import Assignment

TYPES = {"number": "number", "integer": "integer", "boolean": "boolean"}
ERRORS = {
    "400": "The body is no JSON.",
    "401": "No valid token.",
    "409": "No champion can answer.",
    "413": "The body is too large.",
    "422": "Rows that cannot be taken; the answer names row, column, value and what is valid.",
}


def describe_api(models: Mapping[str, ServedModel]) -> dict[str, Any]:
    """Return the description of all pipelines that answer."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Waterflow serving", "version": "1"},
        "paths": {
            f"/v1/models/{name}/predict": {"post": _describe_predict(name, model)}
            for name, model in sorted(models.items())
        },
        "components": {
            "schemas": {name: _describe_row(model.assignment) for name, model in sorted(models.items())},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def example_request(assignment: Assignment) -> dict[str, Any]:
    """Return a request of one real row. It was logged with the model."""
    return {"records": [{feature.name: assignment.example.get(feature.name) for feature in assignment.features}]}


def _describe_predict(name: str, model: ServedModel) -> dict[str, Any]:
    row = {"$ref": f"#/components/schemas/{name}"}
    body = {
        "oneOf": [
            {"type": "object", "required": ["records"], "properties": {"records": {"type": "array", "items": row}}},
            {
                "type": "object",
                "required": ["columns"],
                "properties": {"columns": {"type": "object", "description": "One list of values a column."}},
            },
        ]
    }
    content = {"application/json": {"schema": body, "example": example_request(model.assignment)}}
    return {
        "operationId": f"predict_{name}",
        "summary": f"Ask the champion of {name}",
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {
                "description": "A prediction a row.",
                "content": {"application/json": {"schema": _describe_answer(model)}},
            },
            **{status: {"description": text} for status, text in ERRORS.items()},
        },
    }


def _describe_row(assignment: Assignment) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [feature.name for feature in assignment.features if feature.required],
        "properties": {feature.name: _describe_feature(feature) for feature in assignment.features},
    }


def _describe_feature(feature: FeatureColumn) -> dict[str, Any]:
    kind = TYPES.get(feature.kind, "string")
    described: dict[str, Any] = {
        "type": [kind, "null"] if feature.nullable else kind,
        "description": describe(feature),
    }
    if feature.kind == "time":
        described["format"] = "date-time"
    if feature.values is not None:
        described["enum"] = [*feature.values, *([None] if feature.nullable else [])]
    if feature.pattern is not None:
        described["pattern"] = f"^(?:{feature.pattern})$"
    if feature.kind in ("number", "integer"):
        described |= {"minimum": feature.low} if feature.low is not None else {}
        described |= {"maximum": feature.high} if feature.high is not None else {}
    return described


def _describe_answer(model: ServedModel) -> dict[str, Any]:
    prediction: dict[str, Any] = {"id": {"type": "string"}, "prediction": {}}
    if model.classes:
        prediction["prediction"] = {"enum": list(model.classes)}
        prediction["probabilities"] = {
            "type": "object",
            "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in class_names(model.classes)},
        }
    return {
        "type": "object",
        "properties": {
            "pipeline": {"type": "string"},
            "version": {"type": "integer"},
            "sequence": {"type": ["integer", "null"], "description": "The row of the ledger."},
            "predictions": {"type": "array", "items": {"type": "object", "properties": prediction}},
            "warnings": {"type": "array", "items": {"type": "string"}},
        },
    }

"""What is not a prediction. Lists of models, their documentation, descriptions and health."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from waterflow.serving.answering import RequestError, class_names
from waterflow.serving.openapi import describe_api, example_request
from waterflow.serving.outcomes_route import OutcomesRoute
from waterflow.serving.protocols import mlflow_forms, native, open_inference
from waterflow.serving.reports import Counts, read_reports
from waterflow.serving.schema import describe
from waterflow.serving.service import Service

FOLDER = Path(__file__).parent / "templates"
# No script, nothing from elsewhere, and no frame around it.
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
PATHS = "/, /docs, /openapi.json, /v1/models, /v2, /models/PIPELINE/invocations"
Endpoint = Callable[[Request], Awaitable[Response]]


def build_pages(service: Service) -> Starlette:
    """Return the application of everything but predictions."""
    pages = _Pages(service)
    get: dict[str, Endpoint] = {
        "/": pages.show_models,
        "/docs": pages.show_docs,
        "/style.css": pages.send_style,
        "/openapi.json": pages.send_openapi,
        "/health": pages.send_alive,
        "/v1/models": pages.list_models,
        "/v1/models/{pipeline}": pages.describe_model,
        "/v2": pages.describe_server,
        "/v2/health/live": pages.send_alive,
        "/v2/health/ready": pages.send_ready,
        "/v2/models/{pipeline}": pages.describe_open,
        "/v2/models/{pipeline}/ready": pages.send_model_ready,
        "/v2/models/{pipeline}/versions/{version}": pages.describe_open,
        "/v2/models/{pipeline}/versions/{version}/ready": pages.send_model_ready,
        "/models/{pipeline}/ping": pages.send_model_ready,
        "/models/{pipeline}/health": pages.send_model_ready,
        "/models/{pipeline}/version": pages.send_mlflow_version,
    }
    return Starlette(
        routes=[
            *(Route(path, endpoint, methods=["GET"]) for path, endpoint in get.items()),
            Route("/v1/models/{pipeline}/outcomes", OutcomesRoute(service).__call__, methods=["POST"]),
        ],
        exception_handlers={RequestError: _refuse, HTTPException: _refuse_path},
    )


class _Pages:
    """The endpoints of one worker."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters["moment"] = lambda moment: f"{moment:%Y-%m-%d %H:%M:%S} UTC"
        self._templates.filters["milliseconds"] = lambda value: "–" if value is None else f"{value:.3g} ms"

    async def show_models(self, _: Request) -> Response:
        """Return the page of all models."""
        state = self._service.state
        return self._render("models.html.j2", models=self._list(), problem=state.servers_problem)

    async def show_docs(self, request: Request) -> Response:
        """Return the page of all schemas."""
        models = [
            {
                "name": name,
                "version": model.assignment.version.version,
                "features": [(feature, describe(feature)) for feature in model.assignment.features],
                "example": _indented(example_request(model.assignment)),
                "classes": class_names(model.classes),
                "threshold": model.threshold,
                "positive": model.positive,
                "rejects": model.assignment.contract == "reject",
            }
            for name, model in sorted(self._service.models.items())
        ]
        host = request.headers.get("host", "127.0.0.1:8000")
        is_open = self._service.access.is_open
        address = f"{request.url.scheme}://{host}"
        return self._render("docs.html.j2", models=models, address=address, is_open=is_open)

    async def send_style(self, _: Request) -> Response:
        """Return the style of the pages."""
        text = self._templates.get_template("style.css").render()
        return Response(text, media_type="text/css", headers=HEADERS)

    async def send_openapi(self, _: Request) -> Response:
        """Return the description of all requests, as OpenAPI has it."""
        return _json(describe_api(self._service.models))

    async def list_models(self, _: Request) -> Response:
        """Return the models and how they answer."""
        state = self._service.state
        return _json({"models": self._list(), "problem": state.servers_problem or None})

    async def describe_model(self, request: Request) -> Response:
        """Return one model's columns, rules and example."""
        model = self._service.find_model(request.path_params["pipeline"])
        assignment = model.assignment
        return _json(
            {
                **assignment.version.to_json(),
                "since": assignment.since,
                "contract": assignment.contract,
                "columns": [feature.to_json() for feature in assignment.features],
                "classes": model.classes,
                "threshold": model.threshold,
                "positive": model.positive,
                "example": example_request(assignment),
            }
        )

    async def describe_server(self, _: Request) -> Response:
        """Return the Open Inference Protocol's metadata of the server."""
        return _json({"name": "waterflow", "version": "2", "extensions": []})

    async def send_alive(self, _: Request) -> Response:
        """Return that the process answers."""
        return _json({"live": True})

    async def send_ready(self, _: Request) -> Response:
        """Return whether every champion can answer."""
        is_ready = self._service.is_ready
        return _json({"ready": is_ready}, 200 if is_ready else 503)

    async def describe_open(self, request: Request) -> Response:
        """Return the Open Inference Protocol's metadata of a model."""
        return _json(open_inference.describe_model(self._find(request)))

    async def send_model_ready(self, request: Request) -> Response:
        """Return that a model can answer."""
        served = self._find(request).assignment.version
        return _json({"name": served.pipeline, "version": str(served.version), "ready": True})

    async def send_mlflow_version(self, request: Request) -> Response:
        """Return the installed version of MLflow, as its server does."""
        self._find(request)
        return Response(version("mlflow"), media_type="text/plain", headers=HEADERS)

    def _find(self, request: Request) -> Any:
        return self._service.find_model(request.path_params["pipeline"], request.path_params.get("version"))

    def _list(self) -> list[dict[str, Any]]:
        service = self._service
        reports = read_reports(service.folder, service.state.run)
        return [_describe(name, service, reports) for name in service.state.pipelines]

    def _render(self, template: str, **values: Any) -> Response:
        text = self._templates.get_template(template).render(**values)
        return HTMLResponse(text, headers={**HEADERS, "Content-Security-Policy": POLICY})


def _describe(name: str, service: Service, reports: list[Any]) -> dict[str, Any]:
    """Return a pipeline's line in the list of models."""
    assignment, own = service.state.assignments.get(name), service.report
    loaded = service.models.get(name)
    counts = Counts.sum(
        [*(report.counts[name] for report in reports if name in report.counts and report.pid != own.pid)]
        + ([own.counts[name]] if name in own.counts else [])
    )
    problems = [own.problems.get(name), service.state.problems.get(name), assignment.problem if assignment else None]
    served = loaded.assignment.version if loaded else None
    return {
        "name": name,
        "version": served.version if served else None,
        "model_id": served.model_id if served else None,
        "sequence": served.sequence if served else None,
        "moved_by_hand": served.moved_by_hand if served else False,
        "since": datetime.fromisoformat(own.since[name]) if name in own.since else None,
        "path": loaded.path if loaded else None,
        "requests": counts.requests,
        "rows": counts.rows,
        "refused": counts.refused,
        "failed": counts.failed,
        "p50_ms": counts.percentile_ms(0.5),
        "p95_ms": counts.percentile_ms(0.95),
        "workers": sum(served is not None and report.loaded.get(name) == served.model_id for report in reports),
        "roles": ["champion"] if served else [],
        "shadow": _describe_shadow(name, service, reports),
        "problem": next(filter(None, problems), None),
    }


def _describe_shadow(name: str, service: Service, reports: list[Any]) -> dict[str, Any] | None:
    shadow = service.shadows.get(name)
    if shadow is None:
        return None
    others = [report.shadows[name] for report in reports if name in report.shadows and report.pid != service.report.pid]
    counts = [*others, service.report.shadow_of(name)]
    totals = {key: sum(getattr(entry, key) for entry in counts) for key in ("answered", "dropped", "failed")}
    return {"version": shadow.assignment.version.version, **totals}


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, HEADERS, "application/json")


def _indented(content: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode()


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _json(_protocol_of(request).write_error(error), error.status)


async def _refuse_path(request: Request, error: Exception) -> Response:
    """Answer an unknown path or method."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    reason = f"path: {path!r} is unknown; valid: {PATHS}" if error.status_code == 404 else f"{path}: {error.detail}"
    refused = RequestError(error.status_code, reason)
    return _json(_protocol_of(request).write_error(refused), error.status_code)


def _protocol_of(request: Request) -> Any:
    path = request.url.path
    return open_inference if path.startswith("/v2") else mlflow_forms if path.startswith("/models/") else native

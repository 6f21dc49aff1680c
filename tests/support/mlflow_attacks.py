"""What accounts without rights try against a champion in MLflow."""

from dataclasses import dataclass
from typing import Any

API, AJAX, MLFLOW_3 = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow", "/api/3.0/mlflow"


@dataclass(frozen=True)
class Champion:
    """What a pipeline left: an experiment, a run with an artifact, a logged model, a version with an alias."""

    experiment_id: str
    run_id: str
    model_id: str
    artifact: str
    model: str = "water"


def attacks(champion: Champion, account: str) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return method, path and body of each attempt to change a pipeline's things, or to misuse the server."""
    run, experiment, model = champion.run_id, champion.experiment_id, champion.model_id
    files = champion.artifact.rpartition("/")[0]
    return {
        "squat a pipeline's experiment": ("POST", f"{API}/experiments/create", {"name": "waterflow/next"}),
        "experiment over another's files": (
            "POST",
            f"{AJAX}/experiments/create",
            {"name": "mine", "artifactLocation": f"mlflow-artifacts:/{experiment}"},
        ),
        "experiment over the disk": (
            "POST",
            f"{API}/experiments/create",
            {"name": "mine", "artifact_location": "file:///tmp"},
        ),
        "rename an experiment": (
            "POST",
            f"{API}/experiments/update",
            {"experiment_id": experiment, "new_name": "gone"},
        ),
        "delete an experiment": ("POST", f"{AJAX}/experiments/delete", {"experiment_id": experiment}),
        "run among a pipeline's": ("POST", f"{API}/runs/create", {"experiment_id": experiment}),
        "tag of a run": (
            "POST",
            f"{API}/runs/set-tag",
            {"run_id": run, "key": "waterflow.verdict", "value": "promote"},
        ),
        "metric of a run": ("POST", f"{AJAX}/runs/log-batch", {"run_id": run, "metrics": [{"key": "f1", "value": 1}]}),
        "status of a run": ("POST", f"{API}/runs/update", {"run_id": run, "status": "FAILED"}),
        "delete a run": ("POST", f"{API}/runs/delete", {"run_id": run}),
        "model into a run": ("POST", f"{API}/runs/log-model", {"run_id": run, "model_json": "{}"}),
        "logged model beside the champion's": (
            "POST",
            f"{API}/logged-models",
            {"experiment_id": experiment, "name": "evil"},
        ),
        "tag of a logged model": (
            "PATCH",
            f"{AJAX}/logged-models/{model}/tags",
            {"tags": [{"key": "waterflow.sha256", "value": "0"}]},
        ),
        "registered model of a pipeline to come": ("POST", f"{API}/registered-models/create", {"name": "iris"}),
        "prompt": (
            "POST",
            f"{AJAX}/registered-models/create",
            {"name": "p", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]},
        ),
        "version of the champion's model": (
            "POST",
            f"{API}/model-versions/create",
            {"name": champion.model, "source": f"models:/{model}"},
        ),
        "version over the disk": (
            "POST",
            f"{API}/model-versions/create",
            {"name": champion.model, "source": "file:///etc", "run_id": run},
        ),
        "champion's alias": (
            "POST",
            f"{AJAX}/registered-models/alias",
            {"name": champion.model, "alias": "champion", "version": "1"},
        ),
        "no champion": ("DELETE", f"{API}/registered-models/alias", {"name": champion.model, "alias": "champion"}),
        "rename a model": ("POST", f"{API}/registered-models/rename", {"name": champion.model, "new_name": "gone"}),
        "tag of a version": (
            "POST",
            f"{API}/model-versions/set-tag",
            {"name": champion.model, "version": "1", "key": "k", "value": "v"},
        ),
        "delete a version": ("DELETE", f"{API}/model-versions/delete", {"name": champion.model, "version": "1"}),
        "overwrite an artifact": ("PUT", champion.artifact, {}),
        "delete an artifact": ("DELETE", champion.artifact, {}),
        "artifact by a way up": ("PUT", f"{files}/../../../0/x", {}),
        "artifact by an encoded way up": ("PUT", f"{files}/%2e%2e/%2e%2e/x", {}),
        "artifact by a twice encoded way up": ("PUT", f"{files}/%252e%252e/x", {}),
        "upload through a run": ("POST", f"{AJAX}/upload-artifact?run_uuid={run}&path=card.md", {}),
        "upload in parts": ("POST", f"/api/2.0/mlflow-artifacts/mpu/create/{experiment}/x", {"num_parts": 1}),
        "signed address of the store": ("POST", f"{API}/artifacts/presigned-upload-url", {"run_id": run, "path": "x"}),
        "webhook to the metadata service": (
            "POST",
            f"{API}/webhooks",
            {"name": "w", "url": "http://169.254.169.254/", "events": []},
        ),
        "gateway endpoint": ("POST", f"{MLFLOW_3}/gateway/endpoints/create", {"name": "e"}),
        "gateway proxy": ("POST", f"{AJAX}/gateway-proxy", {"gateway_path": "http://minio:9000/"}),
        "scorer that runs code": (
            "POST",
            f"{MLFLOW_3}/scorers/register",
            {"experiment_id": experiment, "name": "s", "serialized_scorer": "{}"},
        ),
        "job": ("POST", "/ajax-api/3.0/jobs/", {"job_name": "invoke_scorer", "params": {}}),
        "assistant": ("POST", "/ajax-api/3.0/mlflow/assistant/message", {"message": "hello"}),
        "trace": ("POST", f"{MLFLOW_3}/traces", {"trace": {}}),
        "trace by OpenTelemetry": ("POST", "/v1/traces", {}),
        "MCP server": ("POST", f"{MLFLOW_3}/mcp-servers", {"name": "m"}),
        "evaluation data set": ("POST", f"{MLFLOW_3}/datasets/create", {"name": "d", "experiment_ids": [experiment]}),
        "account of an admin": (
            "POST",
            f"{API}/users/create",
            {"username": "eve", "password": "evil-evil-evil"},
        ),
        "become admin": ("PATCH", f"{AJAX}/users/update-admin", {"username": account, "is_admin": True}),
        "grant oneself": (
            "POST",
            f"{MLFLOW_3}/users/permissions/grant",
            {"username": account, "resource_type": "experiment", "resource_pattern": "*", "permission": "MANAGE"},
        ),
        "another's password": (
            "PATCH",
            f"{API}/users/update-password",
            {"username": "admin", "password": "evil-evil-evil"},
        ),
        "sign up": ("GET", "/signup", {}),
    }


ATTACKS = sorted(attacks(Champion("1", "r", "m", "/api/2.0/mlflow-artifacts/artifacts/1/r/artifacts/card.md"), "a"))

"""Print the generated names and passwords of the people's accounts, and the tokens of serving; runs in the `secrets` service, which alone can read them."""

import sys
from pathlib import Path

ADMIN = Path("/secrets/admin")
PEOPLE = {
    "Airflow": ("admin", "airflow_admin_password"),
    "MLflow": ("admin", "mlflow_admin_password"),
    "MinIO": ("minio_root_user", "minio_root_password"),
    "DVC's key": ("dvc_access_key", "dvc_secret_key"),
    "Serving": ("predict", "serving_predict_token"),
    "Serving's": ("predict, outcomes", "serving_outcomes_token"),
}


def read(name: str) -> str:
    file = ADMIN / name
    return file.read_text() if file.exists() else name


if not ADMIN.joinpath("airflow_admin_password").exists():
    sys.exit("no credentials yet: the stack's first start makes them (make up)")
for place, (user, password) in PEOPLE.items():
    print(f"{place:<10} {read(user):<20} {read(password)}")

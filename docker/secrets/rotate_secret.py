"""Remove secrets and what was rendered from them, so that the next start makes all again; runs in the `secrets` service.

    rotate_secret.py NAME…

Only secrets that the set-up of their server replaces at each start are offered. People's passwords are changed in the servers.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from make_secrets import ADMIN, ROOT, STORE_KEYS, VALUES, files

ROTATABLE = {
    *(name for name in VALUES if name.endswith("_database_password") and name != "postgres_database_password"),
    *(f"{user}_{part}_key" for user in STORE_KEYS for part in ("access", "secret")),
    "minio_root_password",
    "mlflow_service_password",
    "mlflow_serving_password",
    "serving_predict_token",
    "serving_outcomes_token",
    "mlflow_flask_secret_key",
    "airflow_api_secret_key",
    "airflow_jwt_secret",
}


def main(*names: str) -> None:
    if not names or set(names) - ROTATABLE:
        sys.exit(
            f"say which secrets: make rotate SECRET=…; {' '.join(names)!r} is not among: {', '.join(sorted(ROTATABLE))}"
        )
    values = {name: (ADMIN / name).read_text() for name in VALUES if (ADMIN / name).exists()}
    if len(values) < len(VALUES):
        sys.exit("some secrets are missing: start the stack first (make up)")
    before, after = files(values), files(values | dict.fromkeys(names, "another value"))
    stale = [ROOT / old[0] / old[1] for old, new in zip(before, after, strict=True) if old != new]
    # The rendered files first: should this be cut short, the next start renders them from the old value.
    for file in [*stale, *(ADMIN / name for name in names)]:
        file.unlink(missing_ok=True)
    print(f"{', '.join(names)}: removed, and {len(stale)} of their consumers' files; the next start makes them again")


if __name__ == "__main__":
    main(*sys.argv[1:])

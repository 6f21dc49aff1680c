"""Make every secret of the stack at its first start, into one volume per consumer, and never again.

Standard library only: it runs as root, without a network, before anything else. `/secrets/admin` is where the values
live; what the consumers read is rendered from there, so a start that was cut short is completed by the next one, and
a consumer's lost volume is filled again. An existing file is never changed. No value is ever printed.
"""

import base64
import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # which `python3 -I` leaves out

from signing_keys import new_signing_key, public_key

ROOT = Path("/secrets")
ADMIN = ROOT / "admin"
DATABASES = Path("/databases")
RECORDS = Path("/installation")  # which stores of this installation were set up once
STORE_DATA = Path("/store")
CHECKOUT = Path("/checkout")

OWNER = {
    "admin": 0,
    "postgres": 999,
    "minio": 1000,
    "minio-setup": 1000,
    "mlflow": 1000,
    "seaweedfs": 1000,
    "airflow": 50000,
    "signing": 50000,
    "ledger": 50000,
    "serving": 50000,
}
ROLES = ("postgres", "airflow", "mlflow", "waterflow", "waterflow_owner", "waterflow_serving")
STORE_USERS = ("mlflow", "waterflow", "dvc")  # each with a bucket of its own
STORE_KEYS = (*STORE_USERS, "serving")

LOST = """\
secrets: volume `secrets-admin` is empty, but other volumes hold an earlier start of this stack, which those passwords opened.
secrets: nothing was changed. Put the volume back from a backup, or begin again without the old data: make clean-stack"""


def main() -> None:
    os.umask(0o077)
    hide_from_tasks()
    if not any(ADMIN.glob("[!.]*")) and earlier_start():
        sys.exit(LOST)
    if STORE_DATA.is_dir() and not any(STORE_DATA.iterdir()):
        # The image that we build sets the owner of a fresh volume; a prebuilt MINIO_IMAGE does not.
        os.chown(STORE_DATA, OWNER["minio"], OWNER["minio"])
    for store, owner in (("postgres", OWNER["postgres"]), ("store", OWNER["minio-setup"])):
        (RECORDS / store).mkdir(exist_ok=True)
        os.chown(RECORDS / store, owner, -1)
    made = sum(write("admin", name, value()) for name, value in VALUES.items())
    values = {name: (ADMIN / name).read_text() for name in VALUES}
    rendered = sum(write(*file) for file in files(values))
    print(
        f"secrets: {made} made, and {rendered} of their consumers' files" if made + rendered else "secrets: all there"
    )


def hide_from_tasks() -> None:
    """Let only their owner read the checkout's files that may hold passwords: tasks see the checkout as another user."""
    private = [CHECKOUT / ".env", CHECKOUT / ".git" / "config", *CHECKOUT.glob(".git/modules/*/config")]
    for path in filter(Path.is_file, private):
        mode = path.stat().st_mode & 0o777
        try:
            if mode & 0o077:
                path.chmod(mode & 0o700)
        except OSError as error:
            print(
                f"secrets: tasks can read {path.relative_to(CHECKOUT)} ({error.strerror}); chmod go-r it",
                file=sys.stderr,
            )


def earlier_start() -> bool:
    """Whether a database or a consumer's secrets are there. A database counts when its own first start was through."""
    database = (DATABASES / "pgdata" / "PG_VERSION").exists() and not (DATABASES / ".first-start").exists()
    return database or any((ROOT / consumer / "aws_credentials").exists() for consumer in ("mlflow", "airflow"))


def write(consumer: str, name: str, text: str) -> bool:
    """Write a file for its consumer alone unless it exists; it appears whole or not at all."""
    target = ROOT / consumer / name
    if target.exists():
        return False
    scratch = target.with_name(f".{name}.part")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with open(descriptor, "w") as file:
        file.write(text)
        os.fchown(descriptor, OWNER[consumer], -1)
        file.flush()
        os.fsync(descriptor)
    scratch.rename(target)
    return True


def password() -> str:
    """A value without characters that a URL, an ini file or a shell would read as their own."""
    return secrets.token_hex(24)


VALUES = {
    "installation_id": lambda: secrets.token_hex(16),
    **{f"{name}_database_password": password for name in ROLES},
    **{f"{name}_access_key": (lambda name=name: f"{name}-{secrets.token_hex(6)}") for name in STORE_KEYS},
    **{f"{name}_secret_key": password for name in STORE_KEYS},
    "minio_root_user": lambda: f"root-{secrets.token_hex(6)}",
    "minio_root_password": password,
    "signing_key": new_signing_key,
    "mlflow_admin_password": password,
    "mlflow_service_password": password,
    "mlflow_serving_password": password,
    "serving_predict_token": password,
    "serving_outcomes_token": password,
    "mlflow_flask_secret_key": password,
    "airflow_admin_password": password,
    "airflow_api_secret_key": password,
    "airflow_jwt_secret": lambda: secrets.token_hex(64),
    "airflow_fernet_key": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
}


def files(value: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """(consumer, file, content) of all that the consumers read, each in the format that it reads."""
    for consumer in ("postgres", "minio-setup"):
        yield consumer, "installation_id", value["installation_id"]
    for name in ROLES:
        yield "postgres", f"{name}_password", value[f"{name}_database_password"]

    for consumer in ("minio", "minio-setup"):
        yield consumer, "root_user", value["minio_root_user"]
        yield consumer, "root_password", value["minio_root_password"]
    for name in STORE_KEYS:
        yield "minio-setup", f"{name}_access_key", value[f"{name}_access_key"]
        yield "minio-setup", f"{name}_secret_key", value[f"{name}_secret_key"]
    yield "seaweedfs", "s3.json", seaweedfs_identities(value)

    yield "mlflow", "backend_store_uri", database_url("mlflow", value)
    yield "mlflow", "flask_secret_key", value["mlflow_flask_secret_key"]
    yield "mlflow", "admin_password", value["mlflow_admin_password"]
    yield "mlflow", "service_password", value["mlflow_service_password"]
    yield "mlflow", "serving_password", value["mlflow_serving_password"]
    yield "mlflow", "aws_credentials", aws_credentials("mlflow", value)

    yield "signing", "signing_key", value["signing_key"]
    for consumer in ("airflow", "serving"):
        yield consumer, "public_keys", public_keys(value["signing_key"])

    yield "airflow", "sql_alchemy_conn", database_url("airflow", value)
    yield "airflow", "sql_alchemy_conn_async", database_url("airflow", value, driver="asyncpg")
    yield "airflow", "jwt_secret", value["airflow_jwt_secret"]
    yield "airflow", "api_secret_key", value["airflow_api_secret_key"]
    yield "airflow", "fernet_key", value["airflow_fernet_key"]
    yield "airflow", "admin_password", value["airflow_admin_password"]
    yield "airflow", "waterflow_database_url", database_url("waterflow", value)
    for role in ("owner", "serving"):
        yield "ledger", f"{role}_database_url", database_url(f"waterflow_{role}", value, database="waterflow")
    yield "airflow", "aws_credentials", aws_credentials("waterflow", value)
    yield "airflow", "dvc_credentials", aws_credentials("dvc", value)
    yield "airflow", "mlflow_credentials", mlflow_credentials("airflow", value["mlflow_service_password"])

    tokens = (f"{right} {value[f'serving_{right}_token']}\n" for right in ("predict", "outcomes"))
    yield "serving", "tokens", "".join(tokens)
    yield "serving", "waterflow_database_url", database_url("waterflow_serving", value, database="waterflow")
    yield "serving", "aws_credentials", aws_credentials("serving", value)
    yield "serving", "mlflow_credentials", mlflow_credentials("serving", value["mlflow_serving_password"])


def mlflow_credentials(user: str, password: str) -> str:
    return f"[mlflow]\nmlflow_tracking_username = {user}\nmlflow_tracking_password = {password}\n"


def public_keys(signing_key: str) -> str:
    """The public keys that a rotation left, or that of the first signing key."""
    rotated = ADMIN / "public_keys"
    return rotated.read_text() if rotated.exists() else public_key(signing_key) + "\n"


def database_url(role: str, value: dict[str, str], driver: str = "psycopg2", database: str = "") -> str:
    return f"postgresql+{driver}://{role}:{value[f'{role}_database_password']}@postgres:5432/{database or role}"


def aws_credentials(user: str, value: dict[str, str]) -> str:
    return (
        "[default]\n"
        f"aws_access_key_id = {value[f'{user}_access_key']}\n"
        f"aws_secret_access_key = {value[f'{user}_secret_key']}\n"
    )


def seaweedfs_identities(value: dict[str, str]) -> str:
    """The keys that MinIO gives out, for SeaweedFS: a swap of the store changes nobody's key."""

    def identity(name: str, access: str, secret: str, actions: list[str]) -> dict[str, object]:
        return {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": actions}

    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    identities = [identity("root", value["minio_root_user"], value["minio_root_password"], everything)]
    for user in STORE_USERS:  # Each user's bucket has the user's name.
        own = [f"{action}:{user}" for action in ("Read", "Write", "List", "Tagging")]
        identities.append(identity(user, value[f"{user}_access_key"], value[f"{user}_secret_key"], own))
    reads = ["Read:waterflow", "List:waterflow", "Write:waterflow/blobs/*"]
    identities.append(identity("serving", value["serving_access_key"], value["serving_secret_key"], reads))
    return json.dumps({"identities": identities}, indent=2)


if __name__ == "__main__":
    main()

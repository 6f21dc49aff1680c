"""MLflow's server of the stack as a process on this machine, over SQLite and a folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from support.projects import free_port, stop, wait_for

SERVER = Path(__file__).resolve().parents[2] / "mlflow-server"
sys.path.append(str(SERVER / "app"))  # as its image has it

from bodies import Body, Receive, RefusedError, Send  # noqa: E402
from policy import Policy, read_policy  # noqa: E402

__all__ = ["Body", "Policy", "Receive", "RefusedError", "Send", "read_policy"]
ADMIN, SERVICE, READER, STRANGER = "admin", "airflow", "rita", "sam"
PASSWORD = "a-password-of-tests"


@dataclass(frozen=True)
class MLflowServer:
    """A running server. Every account has the same password."""

    url: str
    environment: dict[str, str]
    process_id: int
    commands: "subprocess.Popen[str]"

    def ask(
        self, account: str | None, method: str, path: str, *, password: str = PASSWORD, timeout: float = 60, **more: Any
    ) -> requests.Response:
        """Send a request as an account; `path` goes as it stands, without being normalised."""
        auth = (account, password) if account else None
        prepared = requests.Request(method, self.url, auth=auth, **more).prepare()
        prepared.url = self.url + path + (f"?{prepared.url.partition('?')[2]}" if "?" in str(prepared.url) else "")
        with requests.Session() as session:
            return session.send(prepared, timeout=timeout, allow_redirects=False)

    def account(self, *words: str) -> tuple[int, str]:
        """Run the command behind `make mlflow-user`; return its exit code and what it says."""
        assert self.commands.stdin is not None
        assert self.commands.stdout is not None
        print(json.dumps(words), file=self.commands.stdin, flush=True)
        code, said = json.loads(self.commands.stdout.readline())
        return int(code), str(said)

    def new_account(self, name: str, read: str = "") -> str:
        """Make an account by that command; return its generated password."""
        code, said = self.account(name, read)
        assert code == 0, said
        return said.split()[-1]


# Many commands in one process: importing MLflow takes seconds.
COMMANDS = """
import contextlib, io, json, runpy, sys
command = runpy.run_path(sys.argv[1])
command["store"].init_db(command["auth_config"].database_uri)
for line in sys.stdin:
    code, said = 0, io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            command["main"](*[*json.loads(line), "", "", "", ""][:4])
        except SystemExit as error:
            code = 1
            print(error)
    print(json.dumps([code, said.getvalue()]), flush=True)
"""


@contextmanager
def running_server(folder: Path, **settings: str) -> Iterator[MLflowServer]:
    """Start the server as its image does; the service account may do what `mlflow-setup` grants it."""
    port = str(free_port())
    (folder / "scratch").mkdir(parents=True)
    (folder / "auth.ini").write_text(
        (SERVER / "auth.ini").read_text()
        + f"default_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{folder}/accounts.db\n"
    )
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_"))},
        "PYTHONPATH": str(SERVER / "app"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(folder / "scratch"),
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a-key-of-tests",
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": str(folder / "artifacts"),
        "MLFLOW_ALLOWED_HOSTS": f"127.0.0.1:{port}",
        "MLFLOW_HOST": "127.0.0.1",
        "MLFLOW_PORT": port,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **settings,
    }
    log = folder / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, str(SERVER / "bin" / "serve")], env=environment, stdout=output, stderr=output, cwd=folder
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            words = [sys.executable, "-Wignore", "-c", COMMANDS, str(SERVER / "bin" / "account")]
            with subprocess.Popen(
                words,
                env=environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as commands:
                yield MLflowServer(f"http://127.0.0.1:{port}", environment, process.pid, commands)
        finally:
            stop(process)

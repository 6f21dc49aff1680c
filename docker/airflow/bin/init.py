"""Bring the databases of Airflow and the ledger up to date, and see that roles, admin and the pool for training exist.

One process: each `airflow` command of its own would import Airflow again, six seconds a time, and `airflow users create`
wants the password on its command line, where a process list shows it.
"""

import os
from pathlib import Path

from airflow.cli.cli_parser import get_parser
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from waterflow.ledger.owner import main as set_up_ledger

POOL_DESCRIPTION = "Training tasks that may run at once (TRAINING_SLOTS)"


def airflow(*words: str) -> None:
    arguments = get_parser().parse_args(words)
    arguments.func(arguments)


@providers_configuration_loaded
def accounts() -> None:
    with get_application_builder() as builder:
        manager = builder.sm
        manager.sync_roles()
        if not manager.find_user("admin"):
            password = Path("/run/secrets/admin_password").read_text()
            if not manager.add_user(
                "admin", "Waterflow", "Admin", "admin@localhost", manager.find_role("Admin"), password
            ):
                raise SystemExit("airflow-init: the admin's account could not be made; see the lines above")


slots = os.environ["TRAINING_SLOTS"]
if not slots.isdigit() or int(slots) < 1:
    raise SystemExit(f"airflow-init: TRAINING_SLOTS is {slots!r}; in .env it has to be a whole number from 1")
set_up_ledger(
    "/run/ledger/owner_database_url", "/run/secrets/waterflow_database_url", "/run/ledger/serving_database_url"
)
airflow("db", "migrate")
airflow("pools", "set", "training", slots, POOL_DESCRIPTION)
accounts()
print("airflow-init: schema, roles, admin and pool are up to date")

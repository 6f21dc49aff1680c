#!/opt/venv/bin/python -Wignore
"""Give a person an account in Airflow, change its role and password, or remove it.

    add_user.py NAME ROLE
    add_user.py NAME --remove

The password is generated and printed once, so that none stands on a command line; its owner changes it in the UI.
Sessions and tokens of a removed account, or of an earlier password, are refused from then on.
"""

import logging
import secrets
import sys
from typing import Any

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded


@providers_configuration_loaded
def main(name: str, role_name: str) -> None:
    with get_application_builder() as builder:
        if role_name == "--remove":
            remove(builder.sm, name)
        else:
            add(builder.sm, name, role_name)


def add(manager: Any, name: str, role_name: str) -> None:
    password = secrets.token_urlsafe(18)
    role = manager.find_role(role_name)
    if not name or role is None:
        roles = ", ".join(sorted(role.name for role in manager.get_all_roles() if role.name != "Public"))
        sys.exit(f"say who and which role: make user NAME=ann ROLE=Viewer; {role_name!r} is not one of: {roles}")
    user = manager.find_user(name)
    if user:
        user.roles = [role]
        manager.update_user(user)
        manager.reset_password(user.id, password)
    elif not manager.add_user(name, name, "-", f"{name}@localhost", role, password):
        sys.exit(f"{name!r} could not be added")
    print(f"{name}, role {role_name}, password {password}")


def remove(manager: Any, name: str) -> None:
    user = manager.find_user(name)
    if name == "admin":
        sys.exit("'admin' stays: the next start would make it again; a new password: make user NAME=admin ROLE=Admin")
    if user is None:
        names = ", ".join(sorted(user.username for user in manager.get_all_users()))
        sys.exit(f"there is no account {name!r}; there are: {names}")
    manager.reset_user_sessions(user)
    user.roles.clear()
    if not manager.del_register_user(user):
        sys.exit(f"{name!r} could not be removed")
    print(f"{name} is removed")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(*[*sys.argv[1:], "", ""][:2])

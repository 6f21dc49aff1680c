#!/opt/venv/bin/python -Wignore
"""Give a person an account in Airflow, or another role or a new password to one who has it.

    add_user.py NAME ROLE

The password is generated and printed once, so that none stands on a command line; its owner changes it in the UI.
"""

import logging
import secrets
import sys

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded


@providers_configuration_loaded
def main(name: str, role_name: str) -> None:
    password = secrets.token_urlsafe(18)
    with get_application_builder() as builder:
        manager = builder.sm
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


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main(*[*sys.argv[1:], "", ""][:2])

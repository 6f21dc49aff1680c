"""Accounts and sessions of Airflow's API server.

They extend FAB's auth manager, whose tokens stay valid until they expire: after a logout, after a new password, and for
30 seconds after an account or role was taken away. Here a token names the session and the password that it was made
for, and each request asks the database for both.
"""

import hashlib
import math
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from airflow.providers.fab.www.security import permissions

from waterflow.orchestration.login_throttle import Attempt, LoginThrottle

ANSWER = (permissions.ACTION_CAN_EDIT, permissions.RESOURCE_HITL_DETAIL)
TRIGGER = (permissions.ACTION_CAN_CREATE, permissions.RESOURCE_DAG_RUN)
QUESTIONS = (permissions.ACTION_CAN_ACCESS_MENU, permissions.RESOURCE_HITL_DETAIL)  # the page Required Actions
EDIT_DAGS = (permissions.ACTION_CAN_EDIT, permissions.RESOURCE_DAG)
# A task believes what the one before it handed over: the answer of whoever approved, say.
CHANGE_XCOMS = tuple(
    (action, permissions.RESOURCE_XCOM)
    for action in (permissions.ACTION_CAN_CREATE, permissions.ACTION_CAN_EDIT, permissions.ACTION_CAN_DELETE)
)
# What earlier starts of a stack, and Airflow's own defaults, allow beyond the roles below.
WITHDRAWN = (("User", ANSWER), ("Trigger", EDIT_DAGS), *(("Op", right) for right in CHANGE_XCOMS))

client_address: ContextVar[str] = ContextVar("client_address", default="")
throttle = LoginThrottle()


class SecurityManager(FabAirflowSecurityManagerOverride):
    """FAB's accounts with narrower roles, and slower failed logins.

    `Trigger` sees and starts runs, `Approver` sees and answers; `User` does not answer.
    """

    ROLE_CONFIGS: ClassVar[list[dict[str, Any]]] = [
        {**config, "perms": [entry for entry in config["perms"] if (config["role"], entry) not in WITHDRAWN]}
        for config in FabAirflowSecurityManagerOverride.ROLE_CONFIGS
    ] + [
        {"role": name, "perms": [*FabAirflowSecurityManagerOverride.VIEWER_PERMISSIONS, *rights]}
        for name, rights in (("Trigger", [TRIGGER]), ("Approver", [ANSWER, QUESTIONS]))
    ]

    def sync_roles(self) -> None:
        """Give the roles their rights, and take away those withdrawn."""
        super().sync_roles()
        for name, right in WITHDRAWN:
            self.remove_permission_from_role(self.find_role(name), self.get_permission(*right))

    def auth_user_db(self, username: Any, password: Any, rotate_session_id: bool = True) -> Any:
        """Check a password, unless too many failures precede. This serves forms and API alike."""
        attempt = Attempt(str(username).casefold()[:512], client_address.get())
        if wait_seconds := throttle.begin(attempt):
            refuse_login(math.ceil(wait_seconds))
        user = super().auth_user_db(username, password, rotate_session_id)
        if user is not None:
            throttle.succeed(attempt)
        return user


class AuthManager(FabAuthManager):
    """FAB's auth manager with tokens that end early.

    A token ends with its session, its password or its account.
    """

    @cached_property
    def security_manager(self) -> SecurityManager:
        """Return the accounts of the present Flask app."""
        return SecurityManager(self.appbuilder)

    def serialize_user(self, user: Any) -> dict[str, Any]:
        """Return the claims of a token. The session is the browser's, if it has one."""
        claims = super().serialize_user(user) | {"cred": password_mark(user)}
        session_id = current_session_id() or getattr(user, "session_id", None)
        return claims | {"sid": session_id} if session_id else claims

    def deserialize_user(self, token: dict[str, Any]) -> Any:
        """Return a token's user. Raises ValueError when its session, password or account is gone."""
        session_id = token.get("sid")
        if session_id and not is_session_of(token["sub"], session_id):
            raise ValueError("the session has ended")
        user = super().deserialize_user(token)
        if token.get("cred") != password_mark(user):
            raise ValueError("the password was changed")
        user.session_id = session_id
        return user

    def revoke_token(self, token: str) -> None:
        """Revoke a token and end its session."""
        super().revoke_token(token)
        try:
            claims = self._get_token_validator().validated_claims(token)
        except Exception:
            return
        if session_id := claims.get("sid"):
            end_session(session_id)

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        """Return whether a user may act on a DAG.

        Who answers a question or starts a run needs that right alone; Airflow also asks for the right to edit the DAG.
        """
        narrow = {DagAccessEntity.HITL_DETAIL: ("PUT", *ANSWER), DagAccessEntity.RUN: ("POST", *TRIGGER)}
        needed = narrow.get(access_entity)
        if needed is None or method != needed[0]:
            return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
        may_see = super().is_authorized_dag(method="GET", user=user, access_entity=access_entity, details=details)
        return may_see and self._is_authorized(method=method, resource_type=needed[2], user=user)

    def get_fastapi_app(self) -> Any:
        """Return the app of logins and logouts."""
        from starlette.concurrency import run_in_threadpool

        app = super().get_fastapi_app()

        @app.middleware("http")
        async def note_session(request: Any, call_next: Any) -> Any:
            client_address.set(request.client.host if request.client else "")
            if request.url.path.rstrip("/").endswith("/logout"):
                await run_in_threadpool(end_session, request.cookies.get("session", "").partition(".")[0])
            return await call_next(request)

        return app


def refuse_login(wait_seconds: int) -> None:
    """Raise 429 as FastAPI or Flask does."""
    from fastapi import HTTPException
    from flask import has_request_context
    from werkzeug.exceptions import TooManyRequests

    said = f"too many failed logins for this name from this address; try again in {wait_seconds} s"
    if has_request_context():
        raise TooManyRequests(said, retry_after=wait_seconds)
    raise HTTPException(429, said, {"Retry-After": str(wait_seconds)})


def password_mark(user: Any) -> str:
    """Return a digest that changes with a user's password."""
    return hashlib.sha256(f"waterflow {user.password}".encode()).hexdigest()[:16]


def current_session_id() -> str | None:
    """Return the id of the browser's session. None outside FAB's pages."""
    from flask import has_request_context, session

    return getattr(session, "sid", None) if has_request_context() else None


def is_session_of(user_id: str, session_id: str) -> bool:
    """Return whether a session is open for a user.

    A browser that comes back after a logout with its old cookie opens a session of the same name, without a user.
    """
    import msgspec
    from airflow.utils.session import create_session
    from sqlalchemy import text

    query = text("SELECT data FROM session WHERE session_id = :id AND expiry > :now")
    now = datetime.now(UTC).replace(tzinfo=None)  # as the table has it
    with create_session() as session:
        data = session.scalar(query, {"id": session_id, "now": now})
    return data is not None and msgspec.msgpack.decode(data).get("_user_id") == user_id


def end_session(session_id: str) -> None:
    """Delete a session."""
    from airflow.utils.session import create_session
    from sqlalchemy import text

    with create_session() as session:
        session.execute(text("DELETE FROM session WHERE session_id = :id"), {"id": session_id})

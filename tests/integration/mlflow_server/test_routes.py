"""The list of what each account may ask, against every route of the installed MLflow."""

import json
import re
import subprocess
import sys

import pytest
from support.mlflow_server import ADMIN, READER, SERVICE, MLflowServer, Policy, read_policy

# Asks the app itself, in a process like the server's: MLflow reads its settings when it is imported.
ROUTES = """
import json, re, warnings
warnings.simplefilter("ignore")
import mlflow.server
from mlflow.server import auth
routes = [(method, route.path) for route in auth.create_app().routes for method in getattr(route, "methods", ())]
routes += [(method, rule.rule) for rule in mlflow.server.app.url_map.iter_rules() for method in rule.methods]
print(json.dumps(sorted({(m, re.sub(r"<path:[^>]*>|[{][^}]*:path[}]", "a/b", p)) for m, p in routes})))
"""
AUTOMATIC = {"HEAD", "OPTIONS"}  # answered by the frameworks; no line allows them


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The list."""
    return read_policy()


@pytest.fixture(scope="module")
def routes(server: MLflowServer) -> list[tuple[str, str]]:
    """Method and path of every route, with its variables filled in."""
    environment = {**server.environment, "_MLFLOW_SGI_NAME": "uvicorn"}
    done = subprocess.run([sys.executable, "-c", ROUTES], env=environment, capture_output=True, text=True, check=True)
    found = [tuple(route) for route in json.loads(done.stdout.splitlines()[-1])]
    filled = [(method, re.sub(r"<[^>]*>|\{[^}]*\}", "x", path)) for method, path in found]
    return [(method, path) for method, path in filled if method not in AUTOMATIC]


def test_every_route_of_mlflow_stands_in_the_list(policy: Policy, routes: list[tuple[str, str]]) -> None:
    """A route that a new MLflow adds fails here until somebody decides who may use it."""
    assert len(routes) > 500
    unknown = [f"{method} {path}" for method, path in routes if policy.find_rule(method, path) is None]
    assert unknown == []


def test_every_line_of_the_list_is_about_a_route(policy: Policy, routes: list[tuple[str, str]]) -> None:
    """A line that decides nothing any more is removed."""
    used = {policy.find_rule(method, path) for method, path in routes}
    assert [rule for rule in policy.rules if rule not in used] == []


@pytest.mark.parametrize("account", [ADMIN, SERVICE, READER])
def test_no_account_reaches_a_closed_route(
    server: MLflowServer, policy: Policy, routes: list[tuple[str, str]], account: str
) -> None:
    """The running server refuses, for each account, each route that asks for more than it is."""
    allowed = {ADMIN: 3, SERVICE: 2, READER: 1}[account]
    refused = [(method, path) for method, path in routes if policy.access(method, path) > allowed]
    assert len(refused) > 250
    statuses = {f"{method} {path}": server.ask(account, method, path).status_code for method, path in refused}
    assert {request: status for request, status in statuses.items() if status != 403} == {}


def test_without_an_account_only_the_public_routes_answer(
    server: MLflowServer, policy: Policy, routes: list[tuple[str, str]]
) -> None:
    """Each other route asks for a password first."""
    private = [(method, path) for method, path in routes if policy.access(method, path) > 0]
    assert {server.ask(None, method, path).status_code for method, path in private} == {401}

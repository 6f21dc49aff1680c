"""A volume that is gone: the stack says so instead of starting empty. Comes last, since it takes the stack down."""

import pytest
from support.compose import Stack, command

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("volume", "setup", "line"),
    [
        ("postgres-data", "postgres-setup", "database airflow is missing or new, but an earlier start of this stack"),
        ("minio-data", "minio-setup", "is new, but an earlier start of this stack filled one"),
    ],
)
def test_a_lost_volume_is_refused_until_it_is_adopted(stack: Stack, volume: str, setup: str, line: str) -> None:
    """`make up` shows why, and the command in the message takes the empty volume on purpose."""
    stack.down()
    command("docker", "volume", "rm", f"{stack.project}_{volume}")
    started = stack.compose("up", "--detach", "--wait", "--wait-timeout", "300", check=False)
    assert started.returncode != 0
    why = command("docker/stack.sh", "why", env=stack.environment).stderr
    assert f"error: {setup} is exited, exit code 1" in why
    assert line in why
    assert f"docker compose run --rm {setup} adopt" in why
    stack.compose("run", "--rm", "-T", setup, "adopt")
    assert stack.compose("run", "--rm", "-T", setup).returncode == 0

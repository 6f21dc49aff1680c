"""Collecting garbage on MinIO: what is hidden can be brought back by root, and what is needed stays."""

import json

import boto3
import pytest
from support.compose import Stack

pytestmark = pytest.mark.stack

STRAY = f"blobs/ab/ab{'0' * 62}"
# The command collects what is an hour old at least. No object here is, so the clock is put forward.
COLLECT = """
from datetime import UTC, datetime, timedelta
from waterflow import workflow
from waterflow.operations.garbage_collection import remove, survey
resources = workflow.open_resources()
found = survey(resources, timedelta(hours=1), datetime.now(UTC) + timedelta(hours=2))
remove(found, resources)
print("removed", *(unused.entry.key for unused in found.unreachable))
"""


def root(stack: Stack) -> boto3.client:
    """Open MinIO with its root key."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{stack.minio_port}",
        aws_access_key_id=stack.secret("minio_root_user"),
        aws_secret_access_key=stack.secret("minio_root_password"),
        region_name="us-east-1",
    )


def test_an_object_that_nothing_names_goes_and_root_restores_it(stack: Stack, iris_run: str) -> None:
    """The key of the tasks hides it; the mark that hides it is root's to delete, and the version reads on."""
    (parent, *_) = stack.runs(iris_run)
    stack.s3("waterflow").put_object(Bucket="waterflow", Key=STRAY, Body=b"nobody's")
    before = set(stack.keys("waterflow"))

    young = stack.compose("run", "--rm", "-T", "cli", "waterflow", "gc", "--older-than", "1h", "--json").stdout
    assert json.loads(young)["objects"] == []

    said = stack.compose("run", "--rm", "-T", "cli", "python", "-c", COLLECT).stdout
    removed = set(said.partition("removed ")[2].split())
    assert STRAY in removed
    assert set(stack.keys("waterflow")) == before - removed
    needed = parent["tags"]["waterflow.data_digest"]
    assert f"blobs/{needed[:2]}/{needed}" not in removed
    lineage = stack.compose("run", "--rm", "-T", "cli", "waterflow", "lineage", "iris@1", check=False)
    assert lineage.returncode == 0, lineage.stdout + lineage.stderr

    client = root(stack)
    (mark,) = client.list_object_versions(Bucket="waterflow", Prefix=STRAY)["DeleteMarkers"]
    client.delete_object(Bucket="waterflow", Key=STRAY, VersionId=mark["VersionId"])
    assert client.get_object(Bucket="waterflow", Key=STRAY)["Body"].read() == b"nobody's"
    stack.s3("waterflow").delete_object(Bucket="waterflow", Key=STRAY)

"""Sources on the stack: rows out of its Postgres, and a data set that is fetched for all its containers."""

from collections.abc import Iterator

import pytest
from support.compose import Stack, pipeline_added

pytestmark = pytest.mark.stack

SECRET = "open-sesame"
PIPELINE = """
defaults:
  - /strategy: balanced
  - /model@candidates: [gaussian_nb]
dataset:
  kind: sql
  url_env: WATERFLOW_DATABASE_URL
  query: |
    select i as id, (i * 37 % 100) / 100.0 as share, date '2026-01-01' + i as day,
           case when i * 37 % 100 + i % 7 > 50 then 'much' else 'little' end as label
    from generate_series(1, 400) as i
target: label
task: classification
key: [id]
metrics: {main: accuracy}
contract:
  min_rows: 400
  unique: [[id]]
  columns:
    share: {type: number, min: 0, max: 1, nullable: false}
    day: {type: datetime, min: 2026-01-01}
"""


@pytest.fixture(scope="module")
def dag(stack: Stack) -> Iterator[str]:
    """Yield the DAG of a pipeline that reads Postgres by the address in a secret's file."""
    with pipeline_added(stack, "from_postgres", PIPELINE) as name:
        yield name


def test_a_dag_trains_on_the_rows_of_a_query(stack: Stack, dag: str) -> None:
    """The address with its password is a file; the run's configuration holds the variable's name alone."""
    run_id = stack.trigger(dag)
    assert stack.wait(dag, run_id) == "success"
    parent, *_ = stack.runs(run_id, "from_postgres")
    assert [entry["value"] for entry in parent["data"]["params"] if entry["key"] == "rows"] == ["400"]


@pytest.mark.usefixtures("dag")
def test_a_refused_password_is_one_line_without_it(stack: Stack) -> None:
    """User, server and reason are in it; no log of the stack has the password."""
    url = f"WATERFLOW_DATABASE_URL=postgresql://waterflow:{SECRET}@postgres:5432/waterflow"
    done = stack.compose("run", "--rm", "-e", url, "cli", "waterflow", "run", "from_postgres", check=False)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "database waterflow@postgres:5432/waterflow refuses the login (password authentication failed" in line
    assert SECRET not in done.stdout + done.stderr + stack.logs()


def test_a_data_set_is_fetched_for_the_whole_stack(stack: Stack) -> None:
    """By the pip of the image, into the volume that tasks and the command share."""
    trusted = "PIP_CERT=/etc/ssl/certs/ca-certificates.crt"  # of a mirror too, where the image was built with one
    stack.compose("run", "--rm", "-e", trusted, "cli", "waterflow", "data", "fetch", "reviews")
    found = stack.inside("airflow-scheduler", "find", "/var/lib/waterflow/data/reviews", "-type", "f")
    assert found.strip() == "/var/lib/waterflow/data/reviews/movie_reviews.tsv"

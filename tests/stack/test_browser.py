"""What a person sees: log in to Airflow, trigger through the form, follow the link into MLflow."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from support.compose import ROOT, Stack, eventually

pytestmark = pytest.mark.stack
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS") or ROOT / ".waterflow" / "screenshots")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
CONSOLE: list[str] = []  # what the pages of Airflow complained of


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[BrowserContext]:
    """A headless browser with MLflow's password, as a person has it in theirs."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH; install the distribution's package chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = chromium.new_context(
            viewport={"width": 1440, "height": 900},
            http_credentials={"username": "admin", "password": stack.secret("mlflow_admin_password")},
        )
        context.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield context
        chromium.close()


@pytest.fixture(scope="module")
def airflow(stack: Stack, browser: BrowserContext, iris_run: str) -> Page:
    """A page that is logged in to Airflow; a first run is there to be looked at."""
    page = browser.new_page()
    page.on("console", lambda message: CONSOLE.append(message.text))
    page.goto(f"http://localhost:{stack.airflow_port}/auth/login/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", stack.secret("airflow_admin_password"))
    page.click("input[type=submit], button[type=submit]")
    page.wait_for_url("**/")
    return page


def keep(page: Page, name: str) -> None:
    """Keep a screenshot. Airflow's pages ask for news all the time, so no silence can be waited for."""
    page.wait_for_timeout(3000)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_the_form_triggers_a_run_with_what_was_chosen(stack: Stack, airflow: Page) -> None:
    """The form offers the strategies as choices; a run triggered with another one carries it out."""
    base = f"http://localhost:{stack.airflow_port}"
    before = {run["dag_run_id"] for run in stack.airflow("GET", "/dags/train_iris/dagRuns").json()["dag_runs"]}
    airflow.goto(f"{base}/dags/train_iris")
    airflow.get_by_role("button", name="Trigger").first.click()
    strategy = airflow.get_by_role("combobox", name="Strategy")
    expect(strategy).to_be_visible()
    keep(airflow, "airflow-trigger-form")
    strategy.click()
    airflow.get_by_role("option", name="quick").click()
    airflow.get_by_role("dialog").get_by_role("button", name="Trigger").last.click()

    def new_run() -> str | None:
        runs = stack.airflow("GET", "/dags/train_iris/dagRuns").json()["dag_runs"]
        return next((run["dag_run_id"] for run in runs if run["dag_run_id"] not in before), None)

    run_id = eventually(new_run, timeout_seconds=60)
    assert stack.wait("train_iris", run_id) == "success"
    assert stack.runs(run_id)[0]["tags"]["waterflow.strategy"] == "quick"
    airflow.goto(f"{base}/dags/train_iris/runs/{run_id}")
    expect(airflow.get_by_text("logistic_regression").first).to_be_visible()
    keep(airflow, "airflow-dag-run")


def test_a_task_leads_to_its_run_in_mlflow(stack: Stack, airflow: Page, iris_run: str) -> None:
    """The button on a task's details opens the MLflow run of its candidate."""
    task = next(task for task in stack.tasks("train_iris", iris_run) if task["task_id"] == "train")
    run_page = f"http://localhost:{stack.airflow_port}/dags/train_iris/runs/{iris_run}"
    airflow.goto(f"{run_page}/tasks/train/mapped/{task['map_index']}/details")
    link = airflow.get_by_role("link", name="MLflow run")
    expect(link).to_be_visible()
    keep(airflow, "airflow-task-details")
    with airflow.context.expect_page() as opened:
        link.click()
    mlflow = opened.value
    expect(mlflow.get_by_role("heading", name=task["rendered_map_index"])).to_be_visible()
    keep(mlflow, "mlflow-run")
    mlflow.close()


def test_mlflow_shows_the_pictures_and_the_champion(stack: Stack, browser: BrowserContext, iris_run: str) -> None:
    """The parent run's pictures and the registered version with its alias can be looked at."""
    parent, *_ = stack.runs(iris_run)
    info, base = parent["info"], f"http://localhost:{stack.mlflow_port}/#"
    page = browser.new_page()
    training = "workflowType=machine_learning"
    page.goto(
        f"{base}/experiments/{info['experiment_id']}/runs/{info['run_id']}/artifacts/plots/candidates.png?{training}"
    )
    expect(page.get_by_text("candidates.png").first).to_be_visible()
    keep(page, "mlflow-candidates")
    page.goto(f"{base}/models/iris?{training}")
    expect(page.get_by_text("champion").first).to_be_visible()
    keep(page, "mlflow-registry")
    page.close()


def test_airflows_pages_work_under_the_content_policy(stack: Stack, airflow: Page, iris_run: str) -> None:
    """Nothing that a page needs is forbidden: graph, code in its editor, a task's log."""
    run = f"http://localhost:{stack.airflow_port}/dags/train_iris"
    airflow.goto(f"{run}/code")
    expect(airflow.get_by_text("build_dags").first).to_be_visible()
    airflow.goto(f"{run}/runs/{iris_run}/tasks/prepare")
    expect(airflow.get_by_text("prepare").first).to_be_visible()
    keep(airflow, "airflow-task-log")
    assert not [text for text in CONSOLE if "Content Security Policy" in text]

"""The service follows its champion, keeps answering, and goes on alone from its cache."""

import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.projects import request_of
from support.serving import ROW, RunningService, kill, running_service, write_clients

from waterflow import workflow
from waterflow.resources import Resources
from waterflow.tracking.registry import CHAMPION


@contextmanager
def constant_requests(service: RunningService) -> Iterator[list[tuple[int, int | None]]]:
    """Ask without a pause while the block runs; yields status and version of each answer. None may fail."""
    answers: list[tuple[int, int | None]] = []
    ends = threading.Event()

    def ask() -> None:
        while not ends.is_set():
            try:
                answer = service.predict()
                answers.append((answer.status_code, answer.json().get("version")))
            except OSError:
                answers.append((0, None))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert {status for status, _ in answers} == {200}
    assert len(answers) > 10


@pytest.fixture(scope="module")
def second(served: Resources) -> int:
    """Register a second version, with other settings; it is champion only once the alias is moved."""
    write_clients(served.project, decision=0.7, promotion={"approval": "human"})
    registered = workflow.run_all(request_of("clients", "second"), served, lambda *_: None)
    write_clients(served.project)
    return registered.version


@pytest.fixture(scope="module")
def service(served: Resources, second: int) -> Iterator[RunningService]:
    """Start a service with two workers."""
    with running_service(served.project, "--workers", "2", "clients") as running:
        running.wait_until(lambda: running.model()["workers"] == 2)
        yield running


def test_an_alias_moved_by_hand_is_followed_and_marked_and_a_rollback_seen_within_three_seconds(
    service: RunningService, served: Resources, second: int
) -> None:
    """Both happen under requests of which none fails; the other threshold shows in the answers."""
    with constant_requests(service) as answers:
        served.registry.set_alias("clients", CHAMPION, second)
        service.wait_until(lambda: service.model()["version"] == second)
        answer = service.predict().json()
        assert (answer["version"], answer["sequence"], answer["moved_by_hand"]) == (second, None, True)
        assert answer["decision"]["threshold"] == 0.7
        service.wait_until(lambda: {version for _, version in answers[-20:]} == {second})
        served.registry.set_alias("clients", CHAMPION, 1)
        waited = service.wait_until(lambda: {version for _, version in answers[-6:]} == {1}, seconds=10)
        assert waited < 3
    assert "moved_by_hand" not in service.predict().json()


def test_a_killed_worker_is_replaced(service: RunningService) -> None:
    """The others answer meanwhile; requests on connections of the killed one are the only ones that break."""
    before = service.workers()
    kill(before[0])
    service.wait_until(lambda: len(service.workers()) == 2 and before[0] not in service.workers())
    service.wait_until(lambda: service.model()["workers"] == 2)
    assert service.predict().status_code == 200
    assert "ended with -9; another one starts" in service.log.read_text("utf-8")


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_is_shown(
    service: RunningService, served: Resources, second: int
) -> None:
    """Its files were altered in MLflow: it is not unpickled, and the page says why."""
    model = served.registry.get_version("clients", second)
    assert model is not None
    shutil.rmtree(served.project.home / "serving" / "models" / "clients" / model.model_id, ignore_errors=True)
    found = served.models.find_model(model.model_id)
    assert found is not None
    path = Path(found.location.removeprefix("file://")) / "model.pkl"
    kept = path.read_bytes()
    path.write_bytes(kept + b"!")
    try:
        served.registry.set_alias("clients", CHAMPION, second)
        service.wait_until(lambda: "were altered" in (service.model()["problem"] or ""))
        assert service.predict().json()["version"] == 1
        assert "were altered" in service.ask("GET", "/").text
        assert "were altered" in service.log.read_text("utf-8")
    finally:
        path.write_bytes(kept)
        served.registry.set_alias("clients", CHAMPION, 1)
    service.wait_until(lambda: service.model()["problem"] is None)


def test_the_cache_is_for_its_owner_alone(service: RunningService, served: Resources) -> None:
    """Whoever could write there would choose what is loaded."""
    folder = served.project.home / "serving"
    for path in (folder, folder / "models", folder / "models" / "clients", service.folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_it_starts_and_answers_without_mlflow_store_and_database(served: Resources, service: RunningService) -> None:
    """What it served before is verified again, loaded from the cache and answers; the page says what is away."""
    port = service.port
    profile = served.project.conf / "profile" / "embedded.yaml"
    away = profile.read_text("utf-8").replace(
        "tracking_uri: sqlite:///${waterflow_home:}/mlflow.db", "tracking_uri: http://127.0.0.1:9"
    )
    copy = served.project.home / "serving" / "7777"
    shutil.copytree(served.project.home / "serving" / str(port), copy)
    kept = profile.read_text("utf-8")
    profile.write_text(away, "utf-8")
    try:
        with running_service(served.project, "clients", port=7777) as alone:
            alone.wait_until(lambda: alone.model()["version"] == 1)
            assert alone.predict().json()["sequence"] == 1
            alone.wait_until(lambda: "does not answer" in alone.ask("GET", "/").text)
    finally:
        profile.write_text(kept, "utf-8")


def test_altered_files_in_the_cache_are_not_loaded(served: Resources, service: RunningService) -> None:
    """Each start verifies them by the signature that was kept beside; they are fetched again where MLflow has them."""
    champion = served.registry.find_alias("clients", CHAMPION)
    assert champion is not None
    pickle = served.project.home / "serving" / "models" / "clients" / champion.model_id / "model" / "model.pkl"
    pickle.write_bytes(b"cos\nsystem\n(S'touch /tmp/was-run'\ntR.")
    kill(service.workers()[0])
    service.wait_until(lambda: "they were altered" in service.log.read_text("utf-8"))
    assert not Path("/tmp/was-run").exists()
    assert service.predict(ROW).status_code in (200, 409)


def test_sigterm_ends_service_and_workers_and_so_does_the_death_of_the_supervisor(served: Resources) -> None:
    """Nothing is left behind."""
    with running_service(served.project, "--workers", "2", "clients") as first:
        first.wait_until(lambda: len(first.workers()) == 2)
        children = first.children()
    assert first.process.returncode == 0
    with running_service(served.project, "clients") as second_service:
        children += second_service.children()
        kill(second_service.process.pid)
        second_service.process.wait()
        for child in children:
            _wait_for_end(child)


def _wait_for_end(process_id: int) -> None:
    ended = threading.Event()
    for _ in range(300):
        if not Path(f"/proc/{process_id}").exists() or "State:\tZ" in Path(f"/proc/{process_id}/status").read_text():
            return
        ended.wait(0.1)
    raise AssertionError(f"process {process_id} goes on")

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Barrier

from support.keys import KEYS

from waterflow.config.profile import Profile
from waterflow.ledger.store import Ledger
from waterflow.tracking.runs import RunStore
from waterflow.training.tuning.study_storage import open_storage

PROCESSES = 4
together: Barrier


def remember(barrier: Barrier) -> None:
    """Keep the barrier of the pool in each of its processes."""
    global together
    together = barrier


def use_first(home: Path) -> str:
    """Open all that an embedded run keeps in databases, at the same moment as the other processes."""
    database = f"sqlite:///{home}/waterflow.db"
    profile = Profile(
        name="embedded",
        tracking_uri=f"sqlite:///{home}/mlflow.db",
        artifact_root=f"{home}/mlartifacts",
        store_uri=f"{home}/store",
        database_uri=database,
    )
    together.wait(60)
    experiment = RunStore(profile).ensure_experiment("flowers")
    Ledger(database, KEYS).models()
    with open_storage(database) as storage:
        storage.get_all_studies()
    return experiment


def test_processes_that_start_together_share_their_first_databases(tmp_path: Path) -> None:
    """One creates the tables of MLflow, the ledger and the studies; the others wait for it."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, initializer=remember, initargs=(barrier,)) as pool:
        experiments = list(pool.map(use_first, [tmp_path] * PROCESSES))
    assert len(set(experiments)) == 1

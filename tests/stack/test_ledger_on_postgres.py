"""The ledger's contract on a Postgres of its own, in a container; and attacks with the password that tasks hold."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from support.compose import ROOT, command, eventually
from support.keys import KEYS, OTHER_KEYS
from support.ledger_contract import *  # noqa: F403  # the tests that every database has to pass
from support.ledger_contract import look, open_ledger, promote
from support.projects import free_port

from waterflow.errors import LedgerError
from waterflow.ledger import migrate
from waterflow.ledger.database import open_engine
from waterflow.ledger.marks import LedgerMarks
from waterflow.ledger.owner import set_up
from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.ledger.store import Ledger
from waterflow.ledger.tables import decisions
from waterflow.records.prediction_log import PostedOutcome, WorkerTotals
from waterflow.serving.prediction_log.outcomes import record_outcomes
from waterflow.stores.folder import FolderStore

pytestmark = pytest.mark.stack

PASSWORD = "of-one-test"
ROLES = ("postgres", "airflow", "mlflow", "waterflow", "waterflow_owner", "waterflow_serving")


@dataclass(frozen=True)
class Postgres:
    """A server as the stack sets it up, and the addresses of its roles."""

    container: str
    port: int

    def url(self, role: str, database: str = "waterflow") -> str:
        """Return the address of a role in a database."""
        return f"postgresql+psycopg2://{role}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def set_up(self, check: bool = True, *words: str) -> str:
        """Run the set-up of docker-compose.yml as at each start; gives what it says."""
        done = command(
            "docker", "exec", "-u", "999", self.container, "sh", "/opt/postgres/setup.sh", *words, check=check
        )
        return done.stderr


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """Start Postgres and set it up."""
    folder = tmp_path_factory.mktemp("postgres")
    secrets, installation = folder / "secrets", folder / "installation" / "postgres"
    secrets.mkdir()
    installation.mkdir(parents=True)
    for shared in (folder, secrets, installation.parent, installation):
        shared.chmod(0o777)
    for role in ROLES:
        (secrets / f"{role}_password").write_text(PASSWORD)
    (secrets / "installation_id").write_text("1234")
    name, port = f"waterflow-test-ledger-{uuid.uuid4().hex[:8]}", free_port()
    mounts = (
        f"{secrets}:/run/secrets:ro",
        f"{ROOT}/docker/postgres:/opt/postgres:ro",
        f"{folder}/installation:/installation",
    )
    settings = [word for mount in mounts for word in ("-v", mount)]
    settings += [
        "-e",
        f"POSTGRES_PASSWORD={PASSWORD}",
        "-p",
        f"127.0.0.1:{port}:5432",
        "--add-host",
        "postgres:127.0.0.1",
    ]
    command("docker", "run", "--detach", "--name", name, *settings, "postgres:17")
    try:
        server = Postgres(name, port)
        asked = ("docker", "exec", "-e", f"PGPASSWORD={PASSWORD}", name, "psql", "-h", "127.0.0.1", "-U", "postgres")
        eventually(lambda: command(*asked, "-c", "select 1", check=False).returncode == 0, 60)
        server.set_up()
        yield server
    finally:
        command("docker", "rm", "--force", "--volumes", name)


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Make an empty database of a role that may do everything in it, for the contract."""
    name = f"ledger_{uuid.uuid4().hex}"
    with connect(postgres.url("postgres", "postgres")) as run:
        run(f"CREATE DATABASE {name}")
        run(f"ALTER DATABASE {name} SET search_path = ledger")
    return postgres.url("postgres", name)


@pytest.fixture
def role_url(postgres: Postgres) -> str:
    """Set up the ledger as the stack does, empty; gives the address of the role that tasks have."""
    with connect(postgres.url("postgres")) as run:
        run("DROP SCHEMA IF EXISTS ledger CASCADE")
        run("DROP OWNED BY waterflow")
    postgres.set_up()
    set_up(postgres.url("waterflow_owner"), "waterflow", "waterflow_serving")
    return postgres.url("waterflow")


@pytest.fixture
def ledger(role_url: str, tmp_path: Path) -> Ledger:
    """Give a ledger with two pipelines, three decisions each, a look and marks in a store."""
    ledger = Ledger(role_url, KEYS, LedgerMarks(FolderStore(tmp_path / "store")))
    for version in (1, 2, 3):
        for model in ("flowers", "roses"):
            ledger.mark_projected(promote(ledger, version, model, run_id=f"r{version}"))
    ledger.append_look(look(1))
    return ledger


class connect:  # noqa: N801  # a context manager
    """Run SQL as a role, each statement in a transaction of its own."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def __enter__(self) -> Callable[[str], None]:
        self._connection = self._engine.connect()
        return lambda statement: self._connection.exec_driver_sql(statement) and None

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_the_ledger_cannot_be_truncated(url: str) -> None:
    """Not even all at once, by its owner."""
    promote(open_ledger(url), 1)
    with pytest.raises(DBAPIError, match="rows of the ledger are not changed"), connect(url) as run:
        run("TRUNCATE ledger.waterflow_ledger")


COPY = "INSERT INTO ledger.waterflow_ledger SELECT"
COLUMNS = ", ".join(column.name for column in decisions.columns if column.name not in ("model", "sequence"))

REFUSED = {
    "update": "UPDATE ledger.waterflow_ledger SET reason = 'x'",
    "update a look": "UPDATE ledger.waterflow_look SET number = 1",
    "update a projection": "UPDATE ledger.waterflow_ledger_projection SET sequence = 9",
    "delete": "DELETE FROM ledger.waterflow_ledger WHERE sequence = 3",
    "delete a look": "DELETE FROM ledger.waterflow_look",
    "delete in a query": "WITH gone AS (DELETE FROM ledger.waterflow_ledger RETURNING 1) SELECT * FROM gone",
    "truncate": "TRUNCATE ledger.waterflow_ledger",
    "merge": "MERGE INTO ledger.waterflow_ledger t USING (SELECT 1) s ON t.sequence = 3 WHEN MATCHED THEN DELETE",
    "drop table": "DROP TABLE ledger.waterflow_ledger CASCADE",
    "drop trigger": "DROP TRIGGER immutable ON ledger.waterflow_ledger",
    "disable triggers": "ALTER TABLE ledger.waterflow_ledger DISABLE TRIGGER ALL",
    "session without triggers": "SET session_replication_role = replica",
    "drop constraint": "ALTER TABLE ledger.waterflow_ledger DROP CONSTRAINT waterflow_ledger_signed",
    "rename table": "ALTER TABLE ledger.waterflow_ledger RENAME TO old",
    "own the table": "ALTER TABLE ledger.waterflow_ledger OWNER TO waterflow",
    "create a trigger": "CREATE TRIGGER t BEFORE INSERT ON ledger.waterflow_ledger FOR EACH ROW EXECUTE FUNCTION "
    "suppress_redundant_updates_trigger()",
    "create a rule": "CREATE RULE r AS ON INSERT TO ledger.waterflow_ledger DO INSTEAD NOTHING",
    "create a policy": "CREATE POLICY p ON ledger.waterflow_ledger USING (false)",
    "replace a function": "CREATE OR REPLACE FUNCTION ledger.require_order() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RETURN NEW; END $$",
    "create a function there": "CREATE FUNCTION ledger.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "create a table there": "CREATE TABLE ledger.shadow (id int)",
    "create a schema": "CREATE SCHEMA pg_ledger",
    "drop the schema": "DROP SCHEMA ledger CASCADE",
    "rename the schema": "ALTER SCHEMA ledger RENAME TO old",
    "search path of the database": "ALTER DATABASE waterflow SET search_path = public",
    "own the database": "ALTER DATABASE waterflow OWNER TO waterflow",
    "become superuser": "ALTER ROLE waterflow SUPERUSER",
    "become the owner": "SET ROLE waterflow_owner",
    "join the owner": "GRANT waterflow_owner TO waterflow",
    "the owner's password": "ALTER ROLE waterflow_owner PASSWORD 'x'",
    "the owner's settings": "ALTER ROLE waterflow_owner SET search_path = public",
    "the owner's default rights": "ALTER DEFAULT PRIVILEGES FOR ROLE waterflow_owner GRANT ALL ON TABLES TO waterflow",
    "objects of the owner": "DROP OWNED BY waterflow_owner",
    "the ledger's id": "UPDATE ledger.waterflow_ledger_identity SET id = 'x'",
    "another id": "INSERT INTO ledger.waterflow_ledger_identity VALUES ('x')",
    "the revision": "UPDATE ledger.waterflow_ledger_version SET version_num = '9999'",
    "another revision": "INSERT INTO ledger.waterflow_ledger_version VALUES ('9999')",
    "the mark of the installation": "DELETE FROM installation.mark",
    "lock the table": "LOCK TABLE ledger.waterflow_ledger IN ACCESS EXCLUSIVE MODE",
    "lock rows": "SELECT * FROM ledger.waterflow_ledger FOR UPDATE",
    "a program": "COPY public.t FROM PROGRAM 'id'",
    "a file": "SELECT pg_read_file('/run/secrets/waterflow_owner_password')",
    "an event trigger": "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION pg_catalog.f()",
    "a new role": "CREATE ROLE other LOGIN",
    "an extension": "CREATE EXTENSION hstore",
    "insert an old sequence": f"{COPY} model, 2, {COLUMNS} FROM ledger.waterflow_ledger WHERE sequence = 1",
    "insert beyond a gap": f"{COPY} model, 9, {COLUMNS} FROM ledger.waterflow_ledger WHERE sequence = 1",
    "replace on conflict": f"{COPY} model, sequence, {COLUMNS} FROM ledger.waterflow_ledger WHERE sequence = 3 "
    "ON CONFLICT (model, sequence) DO UPDATE SET reason = 'x'",
    "insert without a signature": "INSERT INTO ledger.waterflow_ledger (model, sequence, kind, reason, actor, "
    "decided_at) VALUES ('flowers', 4, 'promote', 'x', 'x', now())",
}


def test_the_tasks_password_changes_nothing(ledger: Ledger, role_url: str) -> None:
    """Each attack is refused by the database, and all rows verify afterwards."""
    before = ledger.entries("flowers"), ledger.looks("flowers")
    with connect(role_url) as run:
        run("GRANT ALL ON ledger.waterflow_ledger TO waterflow")  # a warning, and no right is granted
    got_through = []
    for name, statement in REFUSED.items():
        try:
            with connect(role_url) as run:
                run(statement)
        except DBAPIError:
            continue
        got_through.append(name)
    assert got_through == []
    assert (ledger.entries("flowers"), ledger.looks("flowers")) == before
    assert ledger.verify("flowers").problems == ledger.verify("roses").problems == []
    assert promote(ledger, 4).sequence == 4


REFUSED_TO_SERVING = {
    "append a decision": "INSERT INTO ledger.waterflow_ledger (model, sequence, kind, reason, actor, decided_at, "
    "previous_digest, signature) VALUES ('flowers', 4, 'promote', 'x', 'x', now(), 'x', 'x')",
    "note that an alias followed": "INSERT INTO ledger.waterflow_ledger_projection VALUES ('flowers', 9, now(), 'x')",
    "change what was recorded": "UPDATE ledger.waterflow_served_segment SET digest = 'x'",
    "forget outcomes": "DELETE FROM ledger.waterflow_outcome",
    "make tables": "CREATE TABLE public.t (id int)",
    "make temporary tables": "CREATE TEMPORARY TABLE t (id int)",
}


def test_the_password_of_serving_records_answers_alone(postgres: Postgres, ledger: Ledger) -> None:
    """It reads the ledger, adds to the prediction log, and nothing else; tasks forget what has expired."""
    index = PredictionIndex(postgres.url("waterflow_serving"))
    index.add_worker(WorkerTotals(worker="w", accepted=5, sealed=3, dropped=0, lost=2))
    posted = [PostedOutcome(key="c", outcome=1, known_at=datetime.now(UTC))]
    assert record_outcomes("flowers", posted, index, keep_days=-1).recorded == 1
    assert record_outcomes("flowers", posted, index, keep_days=-1).repeated == 1
    assert [row.version for row in Ledger(postgres.url("waterflow_serving"), KEYS).entries("flowers")] == [1, 2, 3]
    for statement in REFUSED_TO_SERVING.values():
        with pytest.raises(DBAPIError, match="permission denied"), connect(postgres.url("waterflow_serving")) as run:
            run(statement)
    assert PredictionIndex(postgres.url("waterflow")).remove_expired_outcomes(datetime.now(UTC).date()) == 1
    assert index.list_workers()[0].lost == 2


FORGED_AFTER = "FROM ledger.waterflow_ledger WHERE model = 'flowers' AND sequence = 3"
COMMON = "model, sequence, kind, reason, actor, decided_at, to_version, previous_digest, signature"

FORGED = {
    "a digest that leads nowhere": f"INSERT INTO ledger.waterflow_ledger ({COMMON}) VALUES "
    "('flowers', 4, 'promote', 'x', 'x', now(), 9, repeat('0', 64), 'x:y')",
    "the signature of the row before": f"INSERT INTO ledger.waterflow_ledger ({COMMON}) SELECT "
    f"model, 4, kind, reason, actor, now(), 9, previous_digest, signature {FORGED_AFTER}",
    "a row of another pipeline": "INSERT INTO ledger.waterflow_ledger SELECT 'flowers', 4, "
    f"{COLUMNS.replace('run_id, dag', 'NULL, dag')} FROM ledger.waterflow_ledger "
    "WHERE model = 'roses' AND sequence = 3",
    "a row that cannot be read": f"INSERT INTO ledger.waterflow_ledger ({COMMON}, verdict) VALUES "
    "('flowers', 4, 'promote', 'x', 'x', 'infinity', 9, 'x', 'x', '[]')",
}


@pytest.mark.parametrize("statement", FORGED.values(), ids=FORGED.keys())
def test_a_forged_row_is_named_and_stops_its_own_pipeline_alone(ledger: Ledger, role_url: str, statement: str) -> None:
    """Nobody decides on top of it until a person has looked; other pipelines go on."""
    with connect(role_url) as run:
        run(statement)
    with pytest.raises(LedgerError, match="ledger of flowers: "):
        ledger.head("flowers")
    assert ledger.verify("flowers").problems
    assert promote(ledger, 4, "roses").sequence == 4
    assert ledger.models() == ["flowers", "roses"]
    assert ledger.looks("flowers")


def test_a_forged_row_that_cannot_be_read_is_removed_by_the_superuser(
    postgres: Postgres, ledger: Ledger, role_url: str
) -> None:
    """Nobody can accept it. It left no mark, so without it all rows verify and decisions go on."""
    with connect(role_url) as run:
        run(FORGED["a row that cannot be read"])
    with pytest.raises(LedgerError, match="a row cannot be read"):
        ledger.unverified_entries("flowers")
    with connect(postgres.url("postgres")) as run:
        run("SET session_replication_role = replica; DELETE FROM ledger.waterflow_ledger WHERE sequence = 4")
    assert ledger.verify("flowers").problems == []
    assert promote(ledger, 4).sequence == 4


def test_a_row_with_the_right_digest_and_no_key_is_named(ledger: Ledger, role_url: str) -> None:
    """The chain is public; the key is not. A person can vouch for the rows, and decisions go on."""
    forger = Ledger(role_url, OTHER_KEYS)
    forger._keys = type(KEYS)(KEYS.public_keys, signing_key=OTHER_KEYS.signing_key)
    promote(forger, 9)
    with pytest.raises(LedgerError, match="row 4 is not one of this ledger's: it is signed with"):
        ledger.entries("flowers")
    with pytest.raises(LedgerError):
        promote(ledger, 5)
    promote(ledger, 3, after=ledger.unverified_entries("flowers")[-1], accepts_unsigned=True)
    assert ledger.entries("flowers")[-1].version == 3
    assert ledger.verify("flowers").problems == []
    assert len(ledger.verify("flowers").notes) == 1


def test_a_forged_projection_counts_for_nothing(ledger: Ledger, role_url: str) -> None:
    """The alias has not followed because somebody says so."""
    newest = promote(ledger, 4)
    with connect(role_url) as run:
        run("INSERT INTO ledger.waterflow_ledger_projection VALUES ('flowers', 4, now(), 'x:y')")
    assert not ledger.is_projected(newest)
    assert ledger.verify("flowers").problems[0].startswith("row 4: its mark of the alias is not this ledger's")


def test_shadows_in_another_schema_are_not_looked_at(ledger: Ledger, role_url: str) -> None:
    """A role may set its own search path and fill its own schema; the ledger names its schema in full."""
    before = ledger.entries("flowers")
    with connect(role_url) as run:
        run("CREATE TABLE public.waterflow_ledger AS SELECT * FROM ledger.waterflow_ledger WHERE false")
        run("CREATE TABLE public.waterflow_ledger_identity AS SELECT 'x' AS id")
        run("CREATE FUNCTION public.never(varchar, varchar) RETURNS boolean LANGUAGE sql AS 'SELECT false'")
        run("CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.never)")
        run("ALTER ROLE waterflow SET search_path = public, pg_catalog")
    again = Ledger(role_url, KEYS)
    assert again.entries("flowers") == before
    assert promote(again, 4).sequence == 4


def test_what_a_role_does_to_itself_lasts_until_the_next_start(
    postgres: Postgres, ledger: Ledger, role_url: str
) -> None:
    """It may lock tasks out, and the set-up at each start puts its password, settings and rights back."""
    before = ledger.entries("flowers")
    with connect(role_url) as run:
        run("DROP OWNED BY waterflow")
        run("ALTER ROLE waterflow SET default_transaction_read_only = on")
        run("ALTER ROLE waterflow PASSWORD 'other'")
    postgres.set_up()
    set_up(postgres.url("waterflow_owner"), "waterflow")
    again = Ledger(role_url, KEYS)
    assert again.entries("flowers") == before
    assert promote(again, 4).sequence == 4


BY_SUPERUSER = {
    "cut the last row": (
        "DELETE FROM ledger.waterflow_ledger WHERE model = 'flowers' AND sequence = 3",
        "row 3 is gone",
    ),
    "cut every row": ("DELETE FROM ledger.waterflow_ledger WHERE model = 'flowers'", "row 1 is gone"),
    "cut the last look": ("DELETE FROM ledger.waterflow_look", "looks: row 1 is gone"),
    "edit the last row": ("UPDATE ledger.waterflow_ledger SET reason = 'x' WHERE sequence = 3", "row 3 is not one of"),
    "edit an older row": (
        "UPDATE ledger.waterflow_ledger SET to_version = 9 WHERE sequence = 1",
        "row 1 is not one of",
    ),
    "remove an older row": ("DELETE FROM ledger.waterflow_ledger WHERE sequence = 2", "row 2 is missing"),
    "reorder": (
        "UPDATE ledger.waterflow_ledger SET sequence = sequence + 10; "
        "UPDATE ledger.waterflow_ledger SET sequence = CASE sequence WHEN 11 THEN 2 WHEN 12 THEN 1 ELSE 3 END",
        "row 1 is not one of",
    ),
    "another ledger's id": ("UPDATE ledger.waterflow_ledger_identity SET id = 'x'", "row 1 is not one of"),
}


@pytest.mark.parametrize(("statement", "line"), BY_SUPERUSER.values(), ids=BY_SUPERUSER.keys())
def test_what_a_superuser_does_is_found(
    postgres: Postgres, ledger: Ledger, role_url: str, statement: str, line: str
) -> None:
    """Whoever controls the database can change it, and `--verify` says so."""
    with connect(postgres.url("postgres")) as run:
        run(f"SET session_replication_role = replica; {statement}")
    assert any(problem.startswith(line) for problem in Ledger(role_url, KEYS, ledger._marks).verify("flowers").problems)


def test_tables_from_before_the_owner_are_moved_with_their_rows(postgres: Postgres, role_url: str) -> None:
    """The role of the tasks owned them, in the schema public; their rows wait for a person to vouch for them."""
    make_old_tables(postgres.url("postgres"))
    postgres.set_up()
    with pytest.raises(LedgerError, match=r"'waterflow' may not migrate them; `docker compose up airflow-init` does"):
        Ledger(role_url, KEYS)
    set_up(postgres.url("waterflow_owner"), "waterflow")
    ledger = Ledger(role_url, KEYS)
    assert [row.version for row in ledger.unverified_entries("flowers")] == [1]
    with pytest.raises(DBAPIError, match="permission denied"), connect(role_url) as run:
        run("DELETE FROM ledger.waterflow_ledger")


def make_old_tables(url: str) -> None:
    """Make the tables of the second revision, with one row, in the schema public and owned by the role of the tasks."""
    with connect(url) as run:
        run("DROP SCHEMA ledger CASCADE")
    engine, _ = open_engine(url)
    with engine.connect() as connection:
        migrate.upgrade(connection, "0002")
        connection.exec_driver_sql(
            "INSERT INTO ledger.waterflow_ledger (model, sequence, kind, version, to_version, reason, actor, "
            "decided_at) VALUES ('flowers', 1, 'promote', 1, 1, 'better', 'me', now())"
        )
        for table in migrate.BEFORE_SCHEMA:
            connection.exec_driver_sql(f"ALTER TABLE ledger.{table} SET SCHEMA public")
            connection.exec_driver_sql(f"ALTER TABLE public.{table} OWNER TO waterflow")
        connection.exec_driver_sql("ALTER FUNCTION ledger.waterflow_ledger_refuse() SET SCHEMA public")
        connection.exec_driver_sql("DROP SCHEMA ledger")
        connection.commit()


def test_a_database_that_was_lost_is_no_first_start(postgres: Postgres) -> None:
    """The set-up ends with the remedy, and its command takes the new database on purpose."""
    with connect(postgres.url("postgres", "postgres")) as run:
        run("DROP DATABASE mlflow")
    refusal = postgres.set_up(False)
    assert "database mlflow is missing or new, but an earlier start of this stack filled it" in refusal
    assert "postgres-setup adopt" in refusal
    postgres.set_up(True, "adopt")
    assert postgres.set_up() == ""


def test_a_database_of_another_installation_is_refused(postgres: Postgres) -> None:
    """Data and secrets of two stacks do not come up together."""
    with connect(postgres.url("postgres")) as run:
        run("UPDATE installation.mark SET id = '5678'")
    assert "database waterflow is that of another installation" in postgres.set_up(False)
    postgres.set_up(True, "adopt")
    assert postgres.set_up() == ""

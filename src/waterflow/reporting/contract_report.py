"""What a run records of a broken contract. It is a table and JSON."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from waterflow.errors import Break, ContractError, merge_breaks
from waterflow.plurals import counted
from waterflow.resources import Resources
from waterflow.stores.base import scratch_folder
from waterflow.tracking.artifacts import write_json
from waterflow.tracking.tags import CONTRACT_BREAKS, CONTRACT_FOLDER

logger = logging.getLogger(__name__)


@contextmanager
def breaks_logged(run_id: str, resources: Resources) -> Iterator[None]:
    """Log the offenders of a ContractError, and pass it on. The run has them as `contract/breaks.md` and `.json`."""
    try:
        yield
    except ContractError as error:
        table = markdown_table(error.breaks)
        logger.info("the worst of %s of the contract:\n%s", counted(error.count, "break"), table)
        with scratch_folder() as folder:
            content = {"count": error.count, "worst": [entry._asdict() for entry in error.breaks]}
            write_json(folder / CONTRACT_FOLDER / "breaks.json", content)
            (folder / CONTRACT_FOLDER / "breaks.md").write_text(f"{error}\n\n{table}\n", "utf-8")
            resources.runs.log_folder(run_id, folder)
        resources.runs.log(run_id, tags={CONTRACT_BREAKS: str(error.count)})
        raise


def markdown_table(breaks: Sequence[Break]) -> str:
    """Lay the breaks out as a table of Markdown. It has a line per row."""
    rows = [Break._fields, tuple("---" for _ in Break._fields), *merge_breaks(breaks)]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)


def _cell(value: str) -> str:
    return " ".join(value.replace("|", "\\|").split())

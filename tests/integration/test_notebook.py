"""The page *From a notebook* does what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from support.projects import CHECKOUT, copy_database, make_project

PAGE = CHECKOUT / "docs" / "how-to" / "notebook.md"
CHECKS = """
assert registered.aliases == ("challenger", "champion"), registered
assert verdict.outcome == "promote"
assert len(rows) == 150 and set(rows["part"]) == {"train", "validation", "test"}
assert len(train) == 90 and len(predictions) == 30
assert (rows.loc[predictions.index, "species"] == predictions["truth"]).all()
assert (rows.loc[predictions.index, "part"] == "test").all()
recorded = predictions["challenger"].to_numpy()
assert (model.predict(held_out.drop(columns=["species", "part"])) == recorded).all()
"""


def test_the_page_runs_as_it_stands(tmp_path: Path, tracking_template: Path) -> None:
    """In a new process, in a project's folder, block after block; what comes out is what the page says."""
    project = make_project(tmp_path)
    copy_database(project, tracking_template)
    shutil.copy(CHECKOUT / "conf" / "pipeline" / "iris.yaml", project.conf / "pipeline")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 6
    environment = os.environ | {"WATERFLOW_HOME": str(project.home)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*blocks, CHECKS])],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "did you mean 'iris'?" in done.stdout or "valid: " in done.stdout


def test_importing_waterflow_costs_nothing() -> None:
    """Its functions are imported when they are first used; an unknown name lists them."""
    program = (
        "import sys, waterflow\n"
        "assert not {'pandas', 'mlflow', 'sklearn'} & set(sys.modules)\n"
        "assert {'run', 'load_dataset', 'load_predictions', 'load_model'} <= set(dir(waterflow))\n"
        "try:\n    waterflow.load_data\nexcept AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "it has load_champion, load_dataset, load_model, load_predictions, run" in done.stdout

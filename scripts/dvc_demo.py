"""`make dvc-demo`: data under DVC in a temporary clone of this checkout, with a remote that everything is pulled from.

Data, `dvc repro`, other data, `dvc repro`, a comparison, and back again with the cache deleted. What is claimed is
checked, and the first thing that is not so ends the demo with exit code 1. The checkout itself is not touched.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = "data/flowers.csv"
PIPELINE = """\
defaults:
  - /strategy: balanced
  - /model@candidates: [gaussian_nb, logistic_regression]
description: Which iris is this? Rows that DVC tracks.
dataset: {kind: dvc, path: data/flowers.csv}
target: species
task: classification
split: {kind: stratified, seed: 3}
metrics: {main: f1_macro, show: [accuracy, log_loss]}
tuning: {trials: 0}
"""
PARAMS = """\
pipeline: flowers
candidates: [gaussian_nb, logistic_regression]
overrides: ""
data: data/flowers.csv
"""


def main() -> None:
    """Play the demo in a folder that is gone afterwards."""
    if not (ROOT / ".git").exists():
        sys.exit(f"error: {ROOT} is no git checkout, and the demo clones it")
    with tempfile.TemporaryDirectory(prefix="waterflow-dvc-") as name:
        Demo(Path(name)).play()


class Demo:
    """A clone, and a remote beside it."""

    def __init__(self, folder: Path) -> None:
        """Clone the commit that is checked out."""
        self.clone, self.remote = folder / "clone", folder / "remote"
        places = [str(Path(sys.executable).parent), os.environ["PATH"]]
        person = {
            f"GIT_{who}_{what}": "demo@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        self.environment = (
            os.environ
            | person
            | {
                "PATH": os.pathsep.join(places),
                "DVC_NO_ANALYTICS": "1",
                "DVC_SITE_CACHE_DIR": str(folder / "dvc"),
                "WATERFLOW_PROFILE": "embedded",
                "WATERFLOW_HOME": str(self.clone / ".waterflow"),
                "COLUMNS": "160",
            }
        )
        self.environment.pop("WATERFLOW_CONF", None)
        subprocess.run(["git", "clone", "-q", "--no-local", str(ROOT), str(self.clone)], check=True)

    def play(self) -> None:
        """Do it all."""
        self.say("a pipeline whose rows DVC tracks, and a remote in a folder")
        self.run(f"dvc remote add --local --default folder {self.remote}")
        (self.clone / "conf" / "pipeline" / "flowers.yaml").write_text(PIPELINE, "utf-8")
        (self.clone / "params.yaml").write_text(PARAMS, "utf-8")
        self.say("the first data: 120 irises")
        first = self.train(rows=120, tag="first")
        self.say("nothing changed, so nothing runs")
        self.expect("up to date" in self.run("dvc repro"), "a second `dvc repro` runs no stage")
        self.say("the command line prepares the same rows from the same revision")
        digest = self.prepared_by_command("first")
        self.expect(digest == first, f"prepared data {digest[:12]} from `waterflow step prepare`, as from `dvc repro`")

        self.say("other data: 150 irises")
        second = self.train(rows=150, tag="second")
        self.expect(second != first, "other rows have another digest")
        self.say("what it changed")
        self.run("dvc metrics diff first second")
        changed = json.loads(self.run("dvc metrics diff first second --json", show=False))
        self.expect(
            changed[".waterflow/dvc/metrics.json"]["rows"] == {"old": 120, "new": 150, "diff": 30}, "30 rows more"
        )
        self.run("dvc plots diff first second --targets .waterflow/dvc/plots/candidates.csv")

        self.say("the cache is deleted; back to the first data, pulled from the remote")
        shutil.rmtree(self.clone / ".dvc" / "cache")
        shutil.rmtree(self.clone / ".waterflow" / "dvc")
        (self.clone / DATA).unlink()
        self.run("git checkout -q first")
        self.run("dvc pull -q")
        self.expect(len((self.clone / DATA).read_text().splitlines()) == 121, "the file has its 120 rows again")
        self.expect(self.digest_of("prepared") == first, "and the records are those of the first run")
        self.expect("up to date" in self.run("dvc repro"), "`dvc repro` has nothing to do")
        self.run("dvc metrics show")

        self.say("a source names any revision: the second data, while the first are checked out")
        digest = self.prepared_by_command("second")
        self.expect(digest == second, f"prepared data {digest[:12]}, as when it was the workspace")
        print("\nall as claimed", flush=True)

    def train(self, rows: int, tag: str) -> str:
        """Track so many irises, reproduce, commit and push; returns the digest of the prepared data."""
        from waterflow.datasets.loaders import iris

        (self.clone / "data").mkdir(exist_ok=True)
        iris().head(rows).to_csv(self.clone / DATA, index=False)
        self.run(f"dvc add -q {DATA}")
        self.run("dvc repro -q")
        self.run("git add -A")
        self.run(f"git commit -q -m {tag}")
        self.run(f"git tag {tag}")
        self.run("dvc push")
        self.run("dvc metrics show")
        return self.digest_of("prepared")

    def prepared_by_command(self, revision: str) -> str:
        """Prepare the rows of a revision without DVC's stages."""
        self.run(f"waterflow step prepare flowers +dataset.rev={revision} --out .waterflow/prepared.json")
        return self.digest_of("../prepared")

    def digest_of(self, record: str) -> str:
        """Read the digest of the prepared data in a record."""
        path = self.clone / ".waterflow" / "dvc" / f"{record}.json"
        return str(json.loads(path.read_text("utf-8"))["data"]["digest"])

    def run(self, command: str, *, show: bool = True) -> str:
        """Run a command in the clone, with what it prints; ends the demo when it fails."""
        if show:
            print(f"  $ {command}", flush=True)
        done = subprocess.run(
            command.split(),
            cwd=self.clone,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if show else subprocess.PIPE,
            text=True,
            check=False,
        )
        if show:
            print("".join(f"    {line}\n" for line in done.stdout.splitlines() if line.strip()), end="", flush=True)
        if done.returncode != 0:
            sys.exit(f"error: `{command}` failed with {done.returncode} {'' if show else done.stderr}")
        return done.stdout

    def say(self, text: str) -> None:
        """Head a part."""
        print(f"\n{text}", flush=True)

    def expect(self, holds: bool, claim: str) -> None:
        """Hold a claim, or end the demo."""
        if not holds:
            sys.exit(f"error: not so: {claim}")
        print(f"  ✓ {claim}", flush=True)


if __name__ == "__main__":
    main()

"""Examples of each command, for its `--help` and the reference."""

import typer

EXAMPLES = {
    "init": ("waterflow init data/customers.csv", "waterflow init data/customers.csv --target churned"),
    "run": (
        "waterflow run iris",
        "waterflow run iris strategy=quick '~candidates.svc'",
        "waterflow run flights --start 2013-01-01 --end 2013-07-01",
        "waterflow run flights --fail-on hold,reject --json > run.json",
    ),
    "pipelines": ("waterflow pipelines", "waterflow pipelines --json"),
    "predict": ("waterflow predict iris new.csv --out predicted.csv", "waterflow predict iris@3 --out all.parquet"),
    "score": ("waterflow score flights --start 2013-06-01 --end 2013-06-02",),
    "show": ("waterflow show iris", "waterflow show iris --json"),
    "ledger": ("waterflow ledger iris", "waterflow ledger iris --verify"),
    "champion": ("waterflow champion iris", "waterflow champion iris --at 2026-04-01"),
    "rollback": ("waterflow rollback iris --reason 'wrong labels in March'", "waterflow rollback iris --to 3"),
    "lineage": ("waterflow lineage iris", "waterflow lineage iris@3 --json"),
    "why": ("waterflow why iris", "waterflow why iris --run 4f1c2a90"),
    "reproduce": ("waterflow reproduce iris", "waterflow reproduce iris@3"),
    "serve": ("waterflow serve", "waterflow serve iris flights --port 8080 --workers 2"),
    "predictions": ("waterflow predictions iris", "waterflow predictions iris --start 2026-04-01 --out april.parquet"),
    "outcomes": (
        "waterflow outcomes iris outcomes.csv",
        "waterflow outcomes iris 'select id, outcome, known_at from answers' --url-env ANSWERS_URL",
    ),
    "audit": ("waterflow audit", "waterflow audit iris --reproduce 0 --report audit.md"),
    "gc": ("waterflow gc", "waterflow gc --older-than 8w --delete"),
    "data fetch": ("waterflow data fetch", "waterflow data fetch flights"),
    "data profile": ("waterflow data profile flights", "waterflow data profile flights --end 2013-07-01"),
    "keys show": ("waterflow keys show", "waterflow keys show --public"),
    "keys rotate": ("waterflow keys rotate", "waterflow keys rotate --revoke 1a2b3c4d"),
    "step prepare": ("waterflow step prepare iris --out prepared.json",),
    "step train": ("waterflow step train svc --prepared prepared.json --out trained/svc.json",),
    "step evaluate": ("waterflow step evaluate trained --prepared prepared.json --out evaluated.json",),
    "step register": (
        "waterflow step register --prepared prepared.json --evaluated evaluated.json --out registered.json",
    ),
    "step promote": (
        "waterflow step promote --prepared prepared.json --registered registered.json --out promoted.json",
    ),
}


def add_examples(app: typer.Typer, path: str = "") -> None:
    """Give each command its examples, below its help."""
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        lines = EXAMPLES.get(f"{path} {name}".strip(), ())
        command.epilog = command.epilog or "\n\n".join(
            [f"Example{'s' if len(lines) > 1 else ''}:", *lines] if lines else []
        )
    for group in app.registered_groups:
        assert group.typer_instance is not None
        add_examples(group.typer_instance, f"{path} {group.name}".strip())

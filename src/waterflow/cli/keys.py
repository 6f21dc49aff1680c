"""`waterflow keys`: the keys that vouch for models and records."""

from typing import Annotated

import typer

from waterflow.cli.console import AsJson, print_json, say

keys_app = typer.Typer(help="Show and rotate the keys that sign models and records.", no_args_is_help=True)


@keys_app.command()
def show(
    public: Annotated[bool, typer.Option("--public", help="Only the public keys, for WATERFLOW_PUBLIC_KEYS.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the trusted keys. Versions that each signed go with it."""
    from waterflow import workflow

    resources = workflow.open_resources()
    if public:
        typer.echo(",".join(sorted(resources.keyring.public_keys)))
        return
    if as_json:
        print_json([entry.to_json() for entry in workflow.list_keys(resources)])
        return
    for entry in workflow.list_keys(resources):
        say(f"{entry.key_id}  {entry.state:<8}{entry.public_key}")
        if entry.versions:
            counts = "no longer valid: " if entry.state == "revoked" else ""
            say(f"  signed {counts}{', '.join(entry.versions)}")


@keys_app.command()
def rotate(
    revoke: Annotated[str | None, typer.Option(help="The id of a key that leaked: what it signed is refused.")] = None,
) -> None:
    """Make a new signing key. What the old one signed stays valid, unless it is revoked."""
    from waterflow import workflow

    resources = workflow.open_resources()
    before = resources.keyring.signing_key
    resources.rotate_keys(revoke)
    kept = f"; {before.key_id} is kept for what it signed" if before and before.key_id != revoke else ""
    say(f"a new key signs from now on{kept}")
    for entry in workflow.list_keys(workflow.open_resources()):
        if entry.state == "revoked" and entry.versions:
            say(f"{entry.key_id} is revoked, no longer valid: {', '.join(entry.versions)}")

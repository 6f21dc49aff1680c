"""The keys of a stack or home. Each comes with the versions that it signed."""

from waterflow.provenance.signing import key_id_of
from waterflow.records.base import Record
from waterflow.resources import Resources
from waterflow.tracking.tags import VERSION_SIGNATURE


class ListedKey(Record):
    """A public key, with the registered versions that it signed.

    `state` is `signs`, `trusted` or `revoked`; of a key that is not known here it is `unknown`, without `public_key`.
    """

    key_id: str
    state: str
    public_key: str = ""
    versions: tuple[str, ...] = ()


def list_keys(resources: Resources) -> list[ListedKey]:
    """List the known keys, and unknown ones that signed versions."""
    keyring = resources.keyring
    signed: dict[str, list[str]] = {}
    for version in sorted(resources.registry.list_all_versions(), key=lambda entry: (entry.model, entry.version)):
        key_id = version.tags.get(VERSION_SIGNATURE, "").partition(":")[0] or "unsigned"
        signed.setdefault(key_id, []).append(f"{version.model}@{version.version}")
    states = dict.fromkeys(keyring.public_keys, "trusted") | dict.fromkeys(keyring.revoked, "revoked")
    if keyring.signing_key is not None and keyring.signing_key.public_key in keyring.public_keys:
        states[keyring.signing_key.public_key] = "signs"
    known = [
        ListedKey(key_id=key_id_of(key), state=state, public_key=key, versions=tuple(signed.pop(key_id_of(key), ())))
        for key, state in sorted(states.items(), key=lambda entry: (entry[1], entry[0]))
    ]
    return known + [
        ListedKey(key_id=name[:16], state="unknown", versions=tuple(versions)) for name, versions in signed.items()
    ]

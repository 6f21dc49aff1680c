"""The key that signs models and records, and the public keys of all that ever signed. Standard library only.

    rotate [KEY_ID]     make a new signing key, keep the public key of the old one, and revoke KEY_ID if given

It runs in the `secrets` service. A task reads its keys when it begins, so nothing has to be restarted.
"""

import base64
import hashlib
import os
import sys
from pathlib import Path

ROOT = Path("/secrets")
PRIME = 2**255 - 19
CURVE = -121665 * pow(121666, -1, PRIME) % PRIME
BASE_Y = 4 * pow(5, -1, PRIME) % PRIME
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
Point = tuple[int, int, int, int]


def new_signing_key() -> str:
    return base64.b64encode(os.urandom(32)).decode() + "\n"


def public_key(signing_key: str) -> str:
    """The public key of an Ed25519 seed, both in base64 (RFC 8032, section 5.1.5)."""
    digest = hashlib.sha512(base64.b64decode(signing_key)).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    total: Point = (0, 1, 1, 0)
    doubled: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % PRIME)
    while scalar:
        if scalar & 1:
            total = add(total, doubled)
        doubled, scalar = add(doubled, doubled), scalar >> 1
    inverse = pow(total[2], -1, PRIME)
    x, y = total[0] * inverse % PRIME, total[1] * inverse % PRIME
    return base64.b64encode((y | (x & 1) << 255).to_bytes(32, "little")).decode()


def add(one: Point, two: Point) -> Point:
    """The sum of two points of the curve, in extended coordinates."""
    a, b = (one[1] - one[0]) * (two[1] - two[0]), (one[1] + one[0]) * (two[1] + two[0])
    c, d = 2 * one[3] * two[3] * CURVE, 2 * one[2] * two[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME


def key_id(public: str) -> str:
    return hashlib.sha256(base64.b64decode(public)).hexdigest()[:16]


def rotate(revoke: str | None = None) -> str:
    """Rotate the key below `ROOT`, and return a line for a person."""
    key, listed = ROOT / "admin" / "signing_key", ROOT / "admin" / "public_keys"
    old, new = public_key(key.read_text()), new_signing_key()
    lines = listed.read_text().splitlines() if listed.exists() else []
    known = {key_id(line.split()[-1]): line.split()[-1] for line in [*lines, old]}
    if revoke is not None and revoke not in known:
        sys.exit(f"secrets: no key {revoke!r}; keys are {', '.join(sorted(known))}")
    revoked = {line.split()[-1] for line in lines if line.startswith("revoked ")}
    revoked |= {known[revoke]} if revoke is not None else set()
    kept = [f"revoked {public}" if public in revoked else public for public in sorted(known.values())]
    text = "".join(f"{line}\n" for line in [*kept, public_key(new)])
    # Readers first: they must know the new key before anything is signed with it.
    for consumer in ("airflow", "serving"):
        if (ROOT / consumer).is_dir():
            replace(ROOT / consumer / "public_keys", text)
    replace(listed, text)
    replace(key, new)
    replace(ROOT / "signing" / "signing_key", new)
    ending = f", key {revoke} revoked" if revoke else ""
    return f"secrets: key {key_id(public_key(new))} signs from now on{ending}; `waterflow keys show` lists what counts"


def replace(file: Path, text: str) -> None:
    """Replace a file at once, for the owner of the one before."""
    scratch, owner = file.with_name(f".{file.name}.part"), (file if file.exists() else file.parent).stat()
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with open(descriptor, "w") as opened:
        opened.write(text)
        os.fchown(descriptor, owner.st_uid, -1)
        opened.flush()
        os.fsync(descriptor)
    scratch.rename(file)


if __name__ == "__main__":
    if sys.argv[1:2] != ["rotate"]:
        sys.exit(__doc__)
    print(rotate(sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] else None))

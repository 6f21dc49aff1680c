"""Keys for tests: the same in every process."""

import base64

from waterflow.provenance.signing import Keyring, SigningKey

SIGNING_KEY = SigningKey(base64.b64encode(bytes(32)).decode())
KEYS = Keyring(frozenset({SIGNING_KEY.public_key}), signing_key=SIGNING_KEY)
OTHER_KEY = SigningKey(base64.b64encode(bytes([1]) * 32).decode())
OTHER_KEYS = Keyring(frozenset({OTHER_KEY.public_key}), signing_key=OTHER_KEY)

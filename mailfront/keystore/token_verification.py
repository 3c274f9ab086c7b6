"""Are the keys on tokens there that certificates need? Part of `msgcert verify`.

Takes the keystore after a look at its tokens, and the nicknames that services present; returns a
`Finding` for each certificate whose key no token has, or that no token has itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mailfront.errors import KeystoreError
from mailfront.keystore.keystore import Keystore, qualified
from mailfront.keystore.verification import Finding


def verify_tokens(keystore: Keystore, served: Iterable[str]) -> Iterator[Finding]:
    """Look for the key of every certificate of the database that says it is on a token, and for
    everything on tokens that is `served`."""
    try:
        records = keystore.inventory().records
    except KeystoreError:
        # Found by the verification of the database.
        records = ()
    on_tokens = [record.nickname for record in records if record.key_on_other_token]
    on_tokens += [nickname for nickname in served if not qualified(nickname).is_internal]
    for nickname in dict.fromkeys(on_tokens):
        try:
            keystore.credentials(nickname)
        except KeystoreError as failure:
            yield Finding(nickname, failure.what, failure.remedy)

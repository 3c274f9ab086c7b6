"""When the tokens are looked at: after a change of what says how to use them, when one did not
sign, every minute, and while one is gone at growing intervals.

Takes the keystore and the server root, tells whether a look is due; the look itself is
`Keystore.look_at_tokens`. A look is a process of its own and costs a tenth of a second of a core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mailfront.configuration.home import ServerRoot
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.pkcs11.modules import list_file
from mailfront.keystore.pkcs11.sessions import change_file
from mailfront.tls.token_handshakes import signing_threads

INTERVAL = 60.0
# While a token is gone: soon at first, for it may only have restarted.
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 60.0
# Whoever makes handshakes fail does not make us start a process for each.
_SUSPICION_INTERVAL = 2.0

_Identity = tuple[int, int, int]


class TokenWatch:
    """Follows the tokens of one server root."""

    def __init__(
        self, root: ServerRoot, keystore: Keystore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keystore = keystore
        self._clock = clock
        self._files = (list_file(root), root.sslpassword_conf, change_file(root))
        self._seen = self._identities()
        self._looked = clock()
        self._delay = _FIRST_DELAY

    def due(self, *, gone: bool) -> bool:
        """Whether to look now; `gone`: a token that is wanted cannot be used."""
        present = self._identities()
        changed, self._seen = present != self._seen, present
        if not changed and not self._keystore.has_modules:
            return False
        since = self._clock() - self._looked
        if changed:
            self._delay = _FIRST_DELAY
            return True
        if gone:
            return since >= self._delay
        self._delay = _FIRST_DELAY
        if since >= _SUSPICION_INTERVAL and signing_threads().were_suspected():
            return True
        return since >= INTERVAL

    def look(self) -> None:
        """Look at the tokens now. Takes its time: for a thread."""
        self._keystore.look_at_tokens()
        self._looked = self._clock()
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _identities(self) -> tuple[_Identity, ...]:
        return tuple(map(_identity, self._files))


def _identity(path: Path) -> _Identity:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_dev, status.st_ino, status.st_mtime_ns)

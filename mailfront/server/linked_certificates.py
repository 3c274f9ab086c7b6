"""Following files that another tool renews: a change is imported by itself, once it is proved.

The files are looked at once per second. Certificate and key are written one after the other by
most tools, so a change is taken only when the files stayed the same from one look to the next; a
pair that does not fit is looked at again as soon as either file or the keystore changes.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from mailfront.errors import OperatorError
from mailfront.keystore.importing import known_issuers
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.linked_files import FileIdentity, Link, identities, read_linked
from mailfront.keystore.records import CertificateRecord
from mailfront.tls.rotation import prove

_log = logging.getLogger("mailfront.linked")


class LinkedCertificates:
    """Keeps the keystore in step with linked files. `problems` says what was not imported."""

    def __init__(self) -> None:
        self._links: tuple[Link, ...] = ()
        self._seen: dict[str, tuple[FileIdentity, ...]] = {}
        self._done: dict[str, tuple[FileIdentity, ...]] = {}
        self._problems: dict[str, str] = {}

    @property
    def problems(self) -> list[str]:
        """One text per nickname whose files are not what is served."""
        return list(self._problems.values())

    def reread(self, token: InternalToken) -> None:
        """The keystore changed: learn which links there are, and try again what was refused.

        Raises `KeystoreError`.
        """
        self._links = tuple(token.links())
        names = {link.nickname for link in self._links}
        for known in (self._seen, self._done, self._problems):
            for gone in set(known) - names:
                del known[gone]
        for refused in self._problems:
            self._done.pop(refused, None)

    def changed(self) -> list[Link]:
        """Links whose files have changed and since then stayed the same for one look."""
        ready = []
        for link in self._links:
            try:
                present = identities(link)
            except OperatorError as failure:
                self._report(link, failure)
                self._done.pop(link.nickname, None)
                continue
            settled = self._seen.get(link.nickname) == present
            self._seen[link.nickname] = present
            if settled and self._done.get(link.nickname) != present:
                ready.append(link)
        return ready

    def take_over(self, links: list[Link], token: InternalToken) -> list[str]:
        """Import what changed, each nickname in a transaction of its own. Blocks.

        Returns the nicknames whose files were refused, for a reason that is new.
        """
        refused = []
        for link in links:
            self._done[link.nickname] = self._seen[link.nickname]
            try:
                self._import(link, token)
            except OperatorError as failure:
                if self._report(link, failure):
                    refused.append(link.nickname)
            else:
                self._problems.pop(link.nickname, None)
        return refused

    def _import(self, link: Link, token: InternalToken) -> None:
        present = token.require(link.nickname)
        chain, private_key = read_linked(link, known_issuers(token))
        if chain[0] == present.certificate and tuple(chain[1:]) == present.chain:
            return
        authorities = [
            record.certificate for record in token.inventory().records if record.trust.is_authority
        ]
        candidate = CertificateRecord(
            link.nickname, chain[0], tuple(chain[1:]), present.trust, has_key=True
        )
        prove(candidate, present.certificate, authorities, datetime.now(UTC))
        renewed = token.replace(link.nickname, chain, private_key)
        _log.info(
            "nickname=%s imported from %s fingerprint=%s replaced=%s",
            link.nickname, link.certificate_file, renewed.sha256, present.sha256,
        )  # fmt: skip

    def _report(self, link: Link, failure: OperatorError) -> bool:
        """Keep the problem; return whether it is new, and then log it."""
        problem = f"{link.nickname}: the linked files are not imported: {failure}"
        is_new = self._problems.get(link.nickname) != problem
        if is_new:
            _log.error("%s", problem)
        self._problems[link.nickname] = problem
        return is_new

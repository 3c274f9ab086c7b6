"""Certificates that another tool renews in files: where they are, whether they changed, what is
in them now.

certbot (`live/NAME/fullchain.pem`, symbolic links into `archive/`), acme.sh and lego (files
replaced in place) and Kubernetes secrets (a directory swapped by a symbolic link) all end as "the
path now leads to another file", which is what is looked at. Raises `KeystoreError`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.keystore.certificate_files import read_certificates
from mailfront.keystore.chain import build_chain, find_leaf
from mailfront.keystore.key_files import read_key_file

Content = TypeVar("Content")
FileIdentity = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Link:
    """A nickname and the files that its certificate follows; absolute paths.

    Without `key_file` the key in the database stays; `chain_file` holds the issuers where
    `certificate_file` is the leaf alone.
    """

    nickname: str
    certificate_file: Path
    key_file: Path | None = None
    chain_file: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that there are."""
        paths = (self.certificate_file, self.key_file, self.chain_file)
        return tuple(path for path in paths if path is not None)


def identities(link: Link) -> tuple[FileIdentity, ...]:
    """What changes when one of the files does. Raises `KeystoreError` if one cannot be reached."""
    return tuple(_identity(path) for path in link.files)


def read_linked(
    link: Link, known: Iterable[x509.Certificate] = ()
) -> tuple[Sequence[x509.Certificate], PrivateKeyTypes | None]:
    """The chain, leaf first, and the private key, as the files are now.

    Issuers that the files lack are taken from those `known`.
    """
    certificates = list(_explained(link.certificate_file, read_certificates))
    issuers = _explained(link.chain_file, read_certificates) if link.chain_file else ()
    leaf = find_leaf(certificates)
    chain = build_chain(leaf, [*certificates, *issuers], known).presented
    if link.key_file is None:
        return chain, None
    key_file = _explained(link.key_file, read_key_file)
    if key_file.is_encrypted:
        raise KeystoreError(
            "the key is encrypted, and a link has no password for it",
            remedy="have the tool write the key unencrypted (mode 0600), or import it by hand",
            file=link.key_file,
        )
    return chain, key_file.private_key()


def _identity(path: Path) -> FileIdentity:
    try:
        status = path.stat()
    except OSError as failure:
        raise unreachable(path, failure) from failure
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _explained(path: Path, read: Callable[[Path], Content]) -> Content:
    try:
        return read(path)
    except KeystoreError as failure:
        if isinstance(failure.__cause__, OSError):
            raise unreachable(path, failure.__cause__) from failure
        raise


def unreachable(path: Path, failure: OSError) -> KeystoreError:
    """The error for a file that cannot be read: it names the part of the path that is in the way
    and its mode, which is what one looks for when a link into another tool's directory fails."""
    culprit = _first_closed(path) if isinstance(failure, PermissionError) else None
    if culprit is None:
        return KeystoreError(f"cannot be read: {failure.strerror}", file=path)
    mode = stat.filemode(culprit.stat().st_mode)
    return KeystoreError(
        f"cannot be read: {culprit} is closed to user {os.geteuid()} (mode {mode})",
        remedy=f"let that user in, for example: setfacl -m u:{os.geteuid()}:"
        f"{'x' if culprit.is_dir() else 'r'} {culprit}",
        file=path,
    )


def _first_closed(path: Path) -> Path | None:
    """The first part of the path, symbolic links followed, that lets us not through."""
    for part in (*reversed(path.parents), path):
        # Behind what is closed nothing is resolved, but it is what is looked at first.
        real = part.resolve()
        for step in (*reversed(real.parents), real):
            wanted = os.X_OK if step.is_dir() else os.R_OK
            if not os.access(step, wanted):
                return step
    return None

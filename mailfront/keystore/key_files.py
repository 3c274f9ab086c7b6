"""Private keys in files of their own, as certbot, acme.sh, OpenSSL and CAs' web forms write them.

Takes the bytes of a file, and the password if the key is encrypted; returns the key. PEM (RFC 7468)
and DER; PKCS#8 (RFC 5958), plain or encrypted, PKCS#1 (RFC 8017) and SEC1 (RFC 5915), also in the
old encryption of `Proc-Type: 4,ENCRYPTED`. Raises `KeystoreError`, which never quotes the file.
"""

from __future__ import annotations

import binascii
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import ber
from mailfront.keystore.derivation_bounds import check_derivations

MAXIMUM_KEY_FILE = 256 * 1024
_USABLE = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY)-----")
_SSH_LABEL = b"OPENSSH PRIVATE KEY"
_OLD_ENCRYPTION = b"Proc-Type: 4,ENCRYPTED"
_PKCS8_ENCRYPTED = b"ENCRYPTED PRIVATE KEY"
_FORMS = "PEM or DER is read: PKCS#8, PKCS#1 or SEC1"


@dataclass(frozen=True, slots=True)
class _Block:
    """A PEM block: its label, what stands between its two lines, and all of it."""

    label: bytes
    body: bytes
    whole: bytes


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a file holds before its password is known. `mode` tells who may read it."""

    path: Path
    content: bytes
    mode: int

    @property
    def is_encrypted(self) -> bool:
        """Whether a password is needed."""
        return is_encrypted(self.content)

    @property
    def warning(self) -> str:
        """Why the file should be looked after, or an empty text."""
        if not self.mode & _OTHERS or self.is_encrypted:
            return ""
        return (
            f"{self.path}: other users may read this private key (mode {self.mode:04o}): "
            f"chmod 600 {self.path}"
        )

    def private_key(self, password: Secret | None = None) -> PrivateKeyTypes:
        """Return the key. Raises `KeystoreError`, with the name of the file."""
        try:
            return load_private_key(self.content, password)
        except KeystoreError as error:
            raise KeystoreError(error.what, remedy=error.remedy, file=self.path) from error


def read_key_file(path: Path) -> KeyFile:
    """Return what is in a key file. Raises `KeystoreError` if it cannot be read or is too large."""
    try:
        with path.open("rb") as stream:
            mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
            content = stream.read(MAXIMUM_KEY_FILE + 1)
    except OSError as error:
        raise KeystoreError(f"cannot be read: {error.strerror}", file=path) from error
    if len(content) > MAXIMUM_KEY_FILE:
        raise KeystoreError(f"it is larger than {MAXIMUM_KEY_FILE} octets: no key", file=path)
    return KeyFile(path, content, mode)


def holds_private_key(content: bytes) -> bool:
    """Return whether there is a private key in the PEM blocks of `content`."""
    return _first_block(content) is not None


def is_encrypted(content: bytes) -> bool:
    """Return whether the first private key in `content` needs a password."""
    block = _first_block(content)
    if block is not None:
        return _OLD_ENCRYPTION in block.body or block.label == _PKCS8_ENCRYPTED
    try:
        # EncryptedPrivateKeyInfo is an algorithm and an OCTET STRING (RFC 5958 section 3).
        return ber.parse(content).has(ber.SEQUENCE, ber.OCTET_STRING)
    except KeystoreError:
        return False


def load_private_key(content: bytes, password: Secret | None = None) -> PrivateKeyTypes:
    """Return the first private key in `content`. Raises `KeystoreError`."""
    block = _first_block(content)
    if block is None and b"-----BEGIN " in content:
        raise KeystoreError("there is no private key in this PEM file", remedy=_FORMS)
    if block is not None and block.label == _SSH_LABEL:
        raise KeystoreError(
            "this is a key of OpenSSH's own format",
            remedy="turn a copy of it into PKCS#8 with `ssh-keygen -p -m PKCS8 -f FILE`",
        )
    encrypted = is_encrypted(content)
    if encrypted and password is None:
        raise KeystoreError("the private key is encrypted", remedy="its password is needed")
    opener = password.reveal().encode() if encrypted and password is not None else None
    _check_time(content, block)
    try:
        if block is not None:
            key = serialization.load_pem_private_key(block.whole, opener)
        else:
            key = serialization.load_der_private_key(content, opener)
    except UnsupportedAlgorithm as error:
        raise KeystoreError(
            "the private key, or its encryption, is of a kind that is not supported",
            remedy="write it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc`",
        ) from error
    except (ValueError, TypeError) as error:
        raise _unreadable(encrypted=encrypted) from error
    return usable(key)


def usable(key: PrivateKeyTypes) -> PrivateKeyTypes:
    """Return the key, or raise `KeystoreError` if no TLS server can use its kind."""
    if not isinstance(key, _USABLE):
        raise KeystoreError(
            "no TLS server can use a private key of this kind",
            remedy="the usable kinds are RSA, EC, Ed25519 and Ed448",
        )
    return key


def _unreadable(*, encrypted: bool) -> KeystoreError:
    if encrypted:
        return KeystoreError(
            "the password does not open the private key", remedy="give its password again"
        )
    return KeystoreError("there is no private key in this file", remedy=_FORMS)


def _first_block(content: bytes) -> _Block | None:
    begin = _BEGIN.search(content)
    if begin is None:
        return None
    ending = b"-----END " + begin[1] + b"-----"
    end = content.find(ending, begin.end())
    if end < 0:
        return None
    body = content[begin.end() : end]
    return _Block(begin[1], body, begin[0] + body + ending + b"\n")


def _check_time(content: bytes, block: _Block | None) -> None:
    """Refuse a derivation that takes too long; what is no BER is the library's to judge."""
    if block is None:
        der = content
    elif block.label == _PKCS8_ENCRYPTED:
        der = _decoded(block.body)
    else:
        return
    try:
        element = ber.parse(der)
    except KeystoreError:
        return
    check_derivations(element)


def _decoded(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        return b""

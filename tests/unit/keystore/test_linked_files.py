"""Files that another tool renews: whether they changed, and what is in them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from mailfront.errors import KeystoreError
from mailfront.keystore.linked_files import Link, identities, read_linked, unreachable
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file

ISSUER = Issuer()
FIRST = ISSUER.issue("mail.example.test")
SECOND = ISSUER.issue("mail.example.test")


def linked(directory: Path) -> Link:
    return Link(
        "imap-cert",
        certificate_pem_file(directory / "fullchain.pem", FIRST.chain),
        key_pem_file(directory / "privkey.pem", FIRST.key),
    )


def test_a_link_names_only_the_files_there_are(tmp_path: Path) -> None:
    link = linked(tmp_path)
    assert link.files == (tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    assert Link("a", Path("/a.pem"), chain_file=Path("/c.pem")).files == (
        Path("/a.pem"),
        Path("/c.pem"),
    )


def test_unchanged_files_are_the_same_and_a_rewritten_one_is_not(tmp_path: Path) -> None:
    link = linked(tmp_path)
    before = identities(link)
    assert identities(link) == before
    certificate_pem_file(link.certificate_file, SECOND.chain)
    assert identities(link)[0] != before[0]
    assert identities(link)[1] == before[1]


def test_a_symbolic_link_to_another_file_is_a_change(tmp_path: Path) -> None:
    for number in ("1", "2"):
        certificate_pem_file(tmp_path / f"fullchain{number}.pem", FIRST.chain)
    path = tmp_path / "fullchain.pem"
    path.symlink_to("fullchain1.pem")
    before = identities(Link("imap-cert", path))
    path.unlink()
    path.symlink_to("fullchain2.pem")
    assert identities(Link("imap-cert", path)) != before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    link = linked(tmp_path)
    link.certificate_file.unlink()
    for look in (identities, read_linked):
        with pytest.raises(KeystoreError, match=r"fullchain\.pem: cannot be read: No such file"):
            look(link)


def test_the_chain_comes_leaf_first_in_whatever_order_the_file_is(tmp_path: Path) -> None:
    link = linked(tmp_path)
    certificate_pem_file(link.certificate_file, tuple(reversed(FIRST.chain)))
    chain, key = read_linked(link)
    assert chain == FIRST.chain
    assert key is not None
    assert key.public_key() == FIRST.key.public_key()


def test_the_root_in_a_file_is_not_presented(tmp_path: Path) -> None:
    link = linked(tmp_path)
    certificate_pem_file(link.certificate_file, (*FIRST.chain, ISSUER.root))
    assert read_linked(link)[0] == FIRST.chain


def test_issuers_may_stand_in_a_file_of_their_own_or_be_known(tmp_path: Path) -> None:
    alone = certificate_pem_file(tmp_path / "cert.pem", FIRST.chain[:1])
    issuers = certificate_pem_file(tmp_path / "chain.pem", FIRST.chain[1:])
    assert read_linked(Link("imap-cert", alone, chain_file=issuers)) == (FIRST.chain, None)
    assert read_linked(Link("imap-cert", alone), [ISSUER.intermediate]) == (FIRST.chain, None)
    assert read_linked(Link("imap-cert", alone)) == (FIRST.chain[:1], None)


def test_an_encrypted_key_is_refused_with_a_remedy(tmp_path: Path) -> None:
    link = linked(tmp_path)
    assert link.key_file is not None
    link.key_file.write_bytes(
        FIRST.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(KeystoreError, match="encrypted") as refused:
        read_linked(link)
    assert refused.value.file == link.key_file
    assert "unencrypted" in refused.value.remedy


def test_a_half_written_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    link = linked(tmp_path)
    whole = link.certificate_file.read_bytes()
    link.certificate_file.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(KeystoreError, match=r"fullchain\.pem"):
        read_linked(link)


def test_another_reason_than_permission_is_told_as_the_system_tells_it(tmp_path: Path) -> None:
    failure = OSError(errno.EIO, "Input/output error")
    told = unreachable(tmp_path / "fullchain.pem", failure)
    assert str(told) == f"{tmp_path / 'fullchain.pem'}: cannot be read: Input/output error"

"""A change of linked files is imported once the files are at rest and what they hold is proved."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.linked_files import Link
from mailfront.server.linked_certificates import LinkedCertificates
from tests.support.issuing import Issued, Issuer, certificate_pem_file, key_pem_file
from tests.support.keystores import new_token

NAME = "mail.example.test"


class Followed:
    """A certificate in a keystore, and the files that it follows."""

    def __init__(self, directory: Path, token: InternalToken) -> None:
        self.token = token
        self.issuer = Issuer()
        self.certificate_file = directory / "fullchain.pem"
        self.key_file = directory / "privkey.pem"
        self.linked = LinkedCertificates()
        first = self.issuer.issue(NAME)
        token.add_authority("Example Root", self.issuer.root)
        token.add_key_and_certificate("imap-cert", first.key, first.chain)
        self.write(first)
        with token.change() as step:
            step.link(Link("imap-cert", self.certificate_file, self.key_file))
        self.linked.reread(token)
        self.settle()

    def write(self, issued: Issued) -> None:
        key_pem_file(self.key_file, issued.key)
        certificate_pem_file(self.certificate_file, issued.chain)

    def look(self) -> list[str]:
        return self.linked.take_over(self.linked.changed(), self.token)

    def settle(self) -> list[str]:
        """Two looks: the files are seen, and then seen unchanged."""
        return self.look() + self.look()

    @property
    def present(self) -> str:
        return self.token.require("imap-cert").sha256


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    with new_token(tmp_path) as token:
        yield Followed(tmp_path, token)


def test_a_renewed_pair_is_imported_with_its_chain(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = followed.present
    renewed = followed.issuer.issue(NAME)
    followed.write(renewed)
    assert followed.settle() == []
    record = followed.token.require("imap-cert")
    assert (record.certificate, *record.chain) == renewed.chain
    assert f"fingerprint={record.sha256} replaced={before}" in caplog.text
    assert followed.linked.problems == []


def test_files_that_still_change_are_left_until_they_rest(followed: Followed) -> None:
    before = followed.present
    followed.write(followed.issuer.issue(NAME))
    assert followed.linked.changed() == []
    followed.write(followed.issuer.issue(NAME))
    assert followed.linked.changed() == []
    assert followed.present == before
    [link] = followed.linked.changed()
    followed.linked.take_over([link], followed.token)
    assert followed.present != before


def test_files_at_rest_are_read_once(followed: Followed) -> None:
    assert followed.linked.changed() == []
    assert followed.linked.changed() == []


def test_a_certificate_before_its_key_waits_for_the_key(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    before = followed.present
    renewed = followed.issuer.issue(NAME)
    certificate_pem_file(followed.certificate_file, renewed.chain)
    assert followed.settle() == ["imap-cert"]
    assert followed.present == before
    assert len(caplog.records) == 1
    key_pem_file(followed.key_file, renewed.key)
    assert followed.settle() == []
    assert followed.token.require("imap-cert").certificate == renewed.leaf
    assert followed.linked.problems == []


def test_a_key_before_its_certificate_waits_in_silence(
    followed: Followed, caplog: pytest.LogCaptureFixture
) -> None:
    renewed = followed.issuer.issue(NAME)
    key_pem_file(followed.key_file, renewed.key)
    assert followed.settle() == []
    assert caplog.records == []
    certificate_pem_file(followed.certificate_file, renewed.chain)
    followed.settle()
    assert followed.token.require("imap-cert").certificate == renewed.leaf


@pytest.mark.parametrize(
    ("names", "begin_days_ago", "reason"),
    [
        (["other.example.test"], 1, f"not for {NAME}"),
        ([NAME], 100, "expired on"),
        ([NAME], -1, "not valid before"),
    ],
)
def test_an_unfit_certificate_is_not_imported_and_told_once(
    followed: Followed,
    caplog: pytest.LogCaptureFixture,
    names: list[str],
    begin_days_ago: int,
    reason: str,
) -> None:
    before = followed.present
    begins = datetime.now(UTC) - timedelta(days=begin_days_ago)
    followed.write(followed.issuer.issue(*names, begins=begins))
    assert followed.settle() == ["imap-cert"]
    assert followed.present == before
    [problem] = followed.linked.problems
    assert problem.startswith("imap-cert: the linked files are not imported: ")
    assert reason in problem
    # The keystore changed, so it is tried again; nothing new is to be told.
    followed.linked.reread(followed.token)
    assert followed.settle() == []
    assert followed.linked.problems == [problem]
    assert len(caplog.records) == 1


def test_what_was_refused_is_tried_again_when_the_keystore_has_changed(followed: Followed) -> None:
    stranger = Issuer()
    renewed = stranger.issue(NAME)
    followed.write(renewed)
    assert followed.settle() == ["imap-cert"]
    assert "chain" in followed.linked.problems[0]
    followed.token.add_authority("Another Root", stranger.root)
    followed.linked.reread(followed.token)
    followed.settle()
    assert followed.token.require("imap-cert").certificate == renewed.leaf


def test_an_intermediate_that_the_keystore_knows_is_served_with_a_bare_leaf(
    followed: Followed,
) -> None:
    renewed = followed.issuer.issue(NAME)
    key_pem_file(followed.key_file, renewed.key)
    certificate_pem_file(followed.certificate_file, renewed.chain[:1])
    assert followed.settle() == []
    assert followed.token.require("imap-cert").chain == renewed.chain[1:]


def test_a_file_that_vanishes_is_a_problem_until_it_is_back(followed: Followed) -> None:
    before = followed.present
    followed.certificate_file.unlink()
    followed.settle()
    assert "No such file" in followed.linked.problems[0]
    assert followed.present == before
    certificate_pem_file(followed.certificate_file, followed.issuer.issue(NAME).chain)
    key_pem_file(followed.key_file, followed.issuer.issue(NAME).key)
    assert followed.settle() == ["imap-cert"]
    followed.write(followed.issuer.issue(NAME))
    assert followed.settle() == []
    assert followed.present != before
    assert followed.linked.problems == []


def test_changes_made_while_nobody_looked_are_found_at_the_start(followed: Followed) -> None:
    renewed = followed.issuer.issue(NAME)
    followed.write(renewed)
    followed.linked = LinkedCertificates()
    followed.linked.reread(followed.token)
    followed.settle()
    assert followed.token.require("imap-cert").certificate == renewed.leaf


def test_a_link_that_is_gone_is_forgotten_with_its_problem(followed: Followed) -> None:
    followed.certificate_file.unlink()
    followed.settle()
    with followed.token.change() as step:
        step.unlink("imap-cert")
    followed.linked.reread(followed.token)
    assert followed.linked.problems == []
    assert followed.linked.changed() == []

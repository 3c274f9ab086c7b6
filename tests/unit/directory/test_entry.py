from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailfront.directory.entry import AccountStatus, Entry, account_status, entry_from_record
from mailfront.errors import DirectoryError
from mailfront.protocol.ldif import read_records

FILE = Path("users.ldif")


def entry(text: str) -> Entry | None:
    (record,) = read_records(text.encode(), file=FILE)
    return entry_from_record(record, FILE)


def test_an_entry_takes_its_attributes_in_canonical_form() -> None:
    found = entry(
        "dn: uid=alice\nuid: Alice\nmail: Alice.B@Bücher.EXAMPLE\ncn: Alice B\n"
        "mailAlternateAddress: A@Example.test\nmailEquivalentAddress: b@example.test\n"
        "userPassword: {SSHA}x\nuserPassword: {ARGON2}y\nmailHost: store1\n"
        "mailAllowedServiceAccess: +imap:ALL\n"
    )
    assert found is not None
    assert found.user == "alice.b@xn--bcher-kva.example"
    assert found.uid == "alice"
    assert found.addresses == {found.user, "a@example.test", "b@example.test"}
    assert found.login_names == {found.user, "alice@xn--bcher-kva.example"}
    assert found.password_values == ("{SSHA}x", "{ARGON2}y")
    assert (found.name, found.mail_host) == ("Alice B", "store1")
    assert found.service_access == ("+imap:ALL",)
    assert found.status is AccountStatus.ACTIVE


def test_a_user_without_uid_has_the_local_part_for_it() -> None:
    found = entry("dn: a\nmail: alice@example.test\n")
    assert found is not None
    assert found.uid == "alice"


def test_records_of_other_things_are_passed_over() -> None:
    assert entry("dn: ou=people\nobjectClass: organizationalUnit\nou: people\n") is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("dn: a\nobjectClass: inetMailUser\nmial: a@b\n", "users.ldif:1: a user without"),
        ("dn: a\nuserPassword: x\n", "users.ldif:1: a user without"),
        ("dn: a\nmail: a@b\nmail: c@d\n", "users.ldif:3: a second mail"),
        ("dn: a\nmail: a\n", "users.ldif:2: mail: an address has"),
        ("dn: a\nmail: a@b\nmailAlternateAddress: a b@c\n", "users.ldif:3: mailalternateaddress"),
        ("dn: a\nmail: a/b@c\n", "users.ldif:2: a / in"),
        ("dn: a\nmail: a@b\nuid: a b\n", "users.ldif:3: uid: "),
        ("dn: a\nmail: a@b\n" + "userPassword: x\n" * 5, "users.ldif:7: too many"),
        ("dn: a\nmail: a@b\nuserPassword:: /w==\n", "users.ldif:3: userpassword is not UTF-8"),
    ],
)
def test_a_fault_in_an_entry_is_told_with_its_line(text: str, place: str) -> None:
    with pytest.raises(DirectoryError) as caught:
        entry(text)
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize(
    ("inet", "mail", "status"),
    [
        ("", "", AccountStatus.ACTIVE),
        ("active", "Active", AccountStatus.ACTIVE),
        ("inactive", "active", AccountStatus.INACTIVE),
        ("inactive", "deleted", AccountStatus.INACTIVE),
        ("deleted", "active", AccountStatus.DELETED),
        ("nonsense", "", AccountStatus.INACTIVE),
        ("overquota", "", AccountStatus.INACTIVE),
        ("", "inactive", AccountStatus.INACTIVE),
        ("", "disabled", AccountStatus.INACTIVE),
        ("", "unused", AccountStatus.INACTIVE),
        ("", "nonsense", AccountStatus.INACTIVE),
        ("", "removed", AccountStatus.DELETED),
        ("", "hold", AccountStatus.HOLD),
        ("active", "overquota", AccountStatus.OVER_QUOTA),
    ],
)
def test_the_general_status_is_judged_before_that_of_mail(
    inet: str, mail: str, status: AccountStatus
) -> None:
    assert account_status(inet, mail) is status


def test_an_entry_has_its_distinguished_name_and_certificates() -> None:
    found = entry(
        "dn: uid=alice,ou=People,dc=example,dc=test\nmail: alice@example.test\n"
        "userCertificate;binary:: MIIB\nuserCertificate:: AAEC\n"
    )
    assert found is not None
    assert found.dn == "uid=alice,ou=People,dc=example,dc=test"
    assert found.certificates == (b"0\x82\x01", b"\0\x01\x02")


def test_too_many_certificates_are_refused() -> None:
    text = "dn: a\nmail: a@example.test\n" + "userCertificate;binary:: MIIB\n" * 17
    with pytest.raises(DirectoryError, match="too many certificates"):
        entry(text)


def test_all_attributes_but_passwords_can_be_searched() -> None:
    found = entry(
        "dn: a\nobjectClass: inetUser\nuid: Alice\nmail: a@b\u00fccher.example\ncn: Alice B\n"
        "userPassword: {SSHA}x\nmailHost: store1\ncertSubjectDN:: AABBAA==\ncertSubjectDN: x\n"
    )
    assert found is not None
    attributes = found.attributes()
    assert attributes["certsubjectdn"] == [b"\0\0A\0", b"x"]
    assert set(attributes["mail"]) == {"a@b\u00fccher.example".encode(), b"a@xn--bcher-kva.example"}
    assert attributes["objectclass"] == [b"inetUser"]
    assert (attributes["cn"], attributes["uid"]) == ([b"Alice B"], [b"alice"])
    assert "userpassword" not in attributes


def test_logins_may_be_held_until_a_moment() -> None:
    found = entry("dn: a\nmail: a@example.test\nmailFrontDelayUntil: 20261124183000Z\n")
    assert found is not None
    assert found.held_until == datetime(2026, 11, 24, 18, 30, tzinfo=UTC)
    with pytest.raises(DirectoryError, match=r"mailFrontDelayUntil: not of the form"):
        entry("dn: a\nmail: a@example.test\nmailFrontDelayUntil: tomorrow\n")

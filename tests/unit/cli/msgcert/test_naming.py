"""Subject, names and key out of the arguments."""

from __future__ import annotations

import argparse

import pytest

from mailfront.cli.msgcert.naming import (
    add_key_arguments,
    add_subject_arguments,
    alternative_names_of,
    check_subject_usage,
    key_kind_of,
    notes_on,
    subject_of,
)
from mailfront.errors import KeystoreError
from mailfront.keystore.formats import general_name_text, name_text
from mailfront.keystore.requests import KeyKind


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_subject_arguments(parser)
    add_key_arguments(parser.add_argument_group("key"))
    namespace = parser.parse_args(arguments)
    check_subject_usage(parser, namespace)
    return namespace


def test_a_subject_is_whole_or_made_of_parts() -> None:
    whole = parsed("-S", "CN=mail.example.com,O=Example")
    parts = parsed("--name", "mail.example.com", "--org", "Example")
    assert subject_of(whole) == subject_of(parts)
    assert name_text(subject_of(parsed())).startswith("CN=")


def test_a_whole_subject_excludes_parts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("-S", "CN=a", "--org-unit", "b")
    assert "--org-unit cannot be given together with -S" in capsys.readouterr().err


def test_alternative_names_are_divided_by_commas_or_repeated() -> None:
    names = alternative_names_of(parsed("--san", "a.example,192.0.2.7", "--san", "b.example"))
    assert names is not None
    assert [general_name_text(name) for name in names] == [
        "DNS:a.example",
        "IP:192.0.2.7",
        "DNS:b.example",
    ]
    assert alternative_names_of(parsed()) is None


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ((), KeyKind("ec")),
        (("--keysize", "3072"), KeyKind("rsa", size=3072)),
        (("--keytype", "ec", "--curve", "P-384"), KeyKind("ec", curve="P-384")),
    ],
)
def test_a_size_alone_means_rsa(arguments: tuple[str, ...], kind: KeyKind) -> None:
    assert key_kind_of(parsed(*arguments)) == kind


def test_a_kind_that_is_not_made_is_refused() -> None:
    with pytest.raises(KeystoreError, match="too weak"):
        key_kind_of(parsed("--keysize", "1024"))


def test_what_clients_will_not_take_is_noted() -> None:
    subject = subject_of(parsed("--name", "Mail Server"))
    (note,) = notes_on(subject, None, KeyKind())
    assert "--san" in note
    names = alternative_names_of(parsed("--san", "a.example"))
    (note,) = notes_on(subject, names, KeyKind("ed25519"))
    assert "Ed25519" in note

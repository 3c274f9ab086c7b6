"""Keys on tokens as URIs (RFC 7512) and as the PEM text of OpenSSL's provider."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.keystore.pkcs11.key_reference import key_pem, key_uri


def test_a_key_is_named_by_its_identifier_or_else_its_label() -> None:
    assert key_uri("HSM One", "ab12", b"\x01\xff", "x") == (
        "pkcs11:token=HSM%20One;serial=ab12;id=%01%FF;type=private"
    )
    assert key_uri("HSM", "", b"", "my key") == "pkcs11:token=HSM;object=my%20key;type=private"


@pytest.mark.parametrize("label", ["a;b", "a?b", "a%b", "ä", "a/b", "a=b&c"])
def test_nothing_in_a_label_ends_the_attribute(label: str) -> None:
    value = key_uri(label, "", b"\x01", "").removeprefix("pkcs11:token=").split(";")[0]
    assert set(value) <= set("%abcABCDEF0123456789")


@given(st.text(max_size=300))
def test_the_pem_text_holds_the_uri_in_two_strings(text: str) -> None:
    lines = key_pem(text).decode("ascii").splitlines()
    assert lines[0] == "-----BEGIN PKCS#11 PROVIDER URI-----"
    assert lines[-1] == "-----END PKCS#11 PROVIDER URI-----"
    assert max(map(len, lines[1:-1])) <= 64
    der = base64.b64decode("".join(lines[1:-1]))
    assert der.startswith(b"\x30")
    assert b"\x1a\x19PKCS#11 Provider URI v1.0\x0c" in der
    assert der.endswith(text.encode())

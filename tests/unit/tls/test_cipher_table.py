"""The rows of the cipher table are well formed, and each name leads to one suite."""

from __future__ import annotations

import re

from mailfront.tls.cipher_table import ORIGINAL, OTHERS, TABLE_23_2

ROWS = [row.split() for row in (ORIGINAL + OTHERS).splitlines()]


def test_every_row_has_a_code_an_iana_name_and_an_openssl_name_or_none() -> None:
    for code, iana, openssl, *originals in ROWS:
        assert re.fullmatch(r"[0-9A-F]{4}|[0-9A-F]{6}", code)
        assert re.fullmatch(r"(TLS|SSL)_[A-Za-z0-9_]+", iana)
        assert openssl == "-" or re.fullmatch(r"[A-Z0-9_|-]+", openssl)
        assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in originals)


def test_no_code_stands_there_twice() -> None:
    codes = [code for code, *_ in ROWS]
    assert len(set(codes)) == len(codes)


def test_no_name_leads_to_two_suites() -> None:
    owner: dict[str, str] = {}
    for code, iana, openssl, *originals in ROWS:
        for name in {iana, *openssl.split("|"), *originals} - {"-"}:
            assert owner.setdefault(name.lower(), code) == code


def test_the_rows_of_table_23_2_are_names_of_the_original() -> None:
    originals = {name for row in ORIGINAL.splitlines() for name in row.split()[3:]}
    assert set(TABLE_23_2) <= originals
    assert len(TABLE_23_2) == 6

"""Suites by any name, and what is known of them."""

from __future__ import annotations

import ssl

import pytest

from mailfront.tls.ciphers import (
    SUITES,
    Fate,
    find_suite,
    known_names,
    suite_named,
    table_23_2,
)


@pytest.mark.parametrize(
    "name",
    [
        "rsa_aes_128_sha",
        "tls_rsa_aes_128_sha",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "AES128-SHA",
        "aes128-sha",
        "Rsa_Aes_128_Sha",
        "0x002F",
        "0x002f",
    ],
)
def test_a_suite_is_found_by_each_of_its_names_without_regard_to_case(name: str) -> None:
    suite = find_suite(name)
    assert suite is not None
    assert suite.iana == "TLS_RSA_WITH_AES_128_CBC_SHA"


@pytest.mark.parametrize("name", ["", "rsa", "AES", "all", "HIGH", "0x", "rsa_aes_128_sha "])
def test_nothing_else_is_a_name(name: str) -> None:
    assert find_suite(name) is None


def test_openssl_s_older_names_are_known() -> None:
    assert suite_named("EDH-RSA-DES-CBC3-SHA") is suite_named("DHE-RSA-DES-CBC3-SHA")


def test_every_name_that_is_told_is_found() -> None:
    assert all(find_suite(name) for name in known_names())


# The sheet of the original's names: name, code, bits, and the word that decides its fate.
SHEET = [
    ("rsa_null_md5", "0001", 0, "RFC 9325"),
    ("rsa_null_sha", "0002", 0, "RFC 9325"),
    ("rsa_rc4_40_md5", "0003", 40, "RFC 7465"),
    ("rsa_rc4_128_md5", "0004", 128, "RFC 7465"),
    ("rsa_rc4_128_sha", "0005", 128, "RFC 7465"),
    ("rsa_rc2_40_md5", "0006", 40, "RFC 9325"),
    ("rsa_des_sha", "0009", 56, "RFC 5469"),
    ("rsa_3des_sha", "000A", 168, "RFC 9325"),
    ("rsa_fips_des_sha", "FEFE", 56, "RFC 7568"),
    ("fips_des_sha", "FEFE", 56, "RFC 7568"),
    ("rsa_fips_3des_sha", "FEFF", 168, "RFC 7568"),
    ("fips_3des_sha", "FEFF", 168, "RFC 7568"),
    ("rsa_des_56_sha", "0062", 56, "export"),
    ("tls_rsa_export1024_with_des_cbc_sha", "0062", 56, "export"),
    ("rsa_rc4_56_sha", "0064", 56, "RFC 7465"),
    ("tls_rsa_export1024_with_rc4_56_sha", "0064", 56, "export"),
    ("tls_dhe_dss_1024_rc4_sha", "0065", 56, "RFC 7465"),
    ("tls_dhe_dss_rc4_128_sha", "0066", 128, "RFC 7465"),
    ("dhe_dss_des_sha", "0012", 56, "DES"),
    ("dhe_rsa_des_sha", "0015", 56, "DES"),
    ("dhe_dss_3des_sha", "0013", 168, "DSS"),
    ("dhe_rsa_3des_sha", "0016", 168, "RFC 9325"),
    ("tls_dhe_dss_aes_128_sha", "0032", 128, "DSS"),
    ("tls_dhe_dss_aes_256_sha", "0038", 256, "DSS"),
    ("tls_dhe_rsa_aes_128_sha", "0033", 128, "RFC 9325"),
    ("tls_dhe_rsa_aes_256_sha", "0039", 256, "RFC 9325"),
    ("fortezza", "001D", 80, "RFC 7568"),
    ("fortezza_rc4_128_sha", "001E", 128, "RFC 7568"),
    ("fortezza_null", "001C", 0, "RFC 7568"),
    ("rc4", "010080", 128, "RFC 6176"),
    ("rc4export", "020080", 40, "RFC 6176"),
    ("rc2", "030080", 128, "RFC 6176"),
    ("rc2export", "040080", 40, "RFC 6176"),
    ("des", "060040", 56, "RFC 6176"),
    ("desede3", "0700C0", 168, "RFC 6176"),
]


@pytest.mark.parametrize(("name", "code", "bits", "reason"), SHEET)
def test_a_name_of_the_original_has_its_code_its_bits_and_the_reason_of_its_fate(
    name: str, code: str, bits: int, reason: str
) -> None:
    suite = suite_named(name)
    assert (suite.code, suite.bits) == (code, bits)
    assert reason in suite.reason
    assert suite.fate is (Fate.LEGACY if name == "rsa_3des_sha" else Fate.NEVER)


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("rsa_aes_128_sha", Fate.LEGACY),
        ("rsa_aes_256_sha", Fate.LEGACY),
        ("rsa_aes_128_gcm_sha_256", Fate.LEGACY),
        ("ecdhe_rsa_aes_128_sha", Fate.LEGACY),
        ("ecdhe_ecdsa_aes_256_sha", Fate.LEGACY),
        ("ecdhe_rsa_aes_128_gcm_sha_256", Fate.GOOD),
        ("ecdhe_ecdsa_aes_128_gcm_sha_256", Fate.GOOD),
        ("TLS_AES_256_GCM_SHA384", Fate.GOOD),
    ],
)
def test_what_is_still_fit_is_told_apart(name: str, fate: Fate) -> None:
    assert suite_named(name).fate is fate


def test_only_aead_with_forward_secrecy_is_good() -> None:
    for suite in SUITES:
        if suite.fate is Fate.GOOD:
            assert suite.key_exchange in {"ECDHE", "any"}
            assert suite.encryption.endswith(("GCM", "CCM", "Poly1305"))


def test_nothing_below_112_bits_and_nothing_unauthenticated_is_ever_offered() -> None:
    for suite in SUITES:
        if suite.fate is not Fate.NEVER:
            assert suite.strength >= 112
            assert suite.authentication in {"RSA", "ECDSA", "any"}


def test_what_is_said_of_a_suite_is_what_openssl_says() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    exchanges = {"kx-rsa": "RSA", "kx-ecdhe": "ECDHE", "kx-dhe": "DHE", "kx-any": "any"}
    signatures = {"auth-rsa": "RSA", "auth-ecdsa": "ECDSA", "auth-dss": "DSS", "auth-any": "any"}
    compared = 0
    for cipher in context.get_ciphers():
        suite = find_suite(str(cipher["name"]))
        if suite is None or suite.authentication == "none":
            continue
        compared += 1
        assert suite.code == f"{cipher['id'] & 0xFFFF:04X}"
        assert suite.key_exchange == exchanges[str(cipher["kea"])]
        assert suite.authentication == signatures[str(cipher["auth"])]
        assert suite.bits == cipher["alg_bits"]
    assert compared > 60


def test_table_23_2_has_the_guide_s_rows_in_its_order() -> None:
    assert [suite.originals[0] for _, suite in table_23_2()] == [
        "rsa_rc4_128_md5",
        "rsa_3des_sha",
        "rsa_des_sha",
        "rsa_rc4_40_md5",
        "rsa_rc2_40_md5",
        "rsa_null_md5",
    ]

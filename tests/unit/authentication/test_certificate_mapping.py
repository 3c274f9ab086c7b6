"""Mapping over a real embedded directory; the worked examples of the original among it."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.authentication import certificate_mapping
from mailfront.authentication.certificate_mapping import CertificateMapper, MappingTrace
from mailfront.authentication.certmap import parse_certmap
from mailfront.authentication.certmap_file import LoadedCertmap
from mailfront.authentication.mapping_function import MappingFunction, MappingQuestion
from mailfront.authentication.pinned_key import JudgeEnrolled
from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.directory.enrolled_keys import key_fingerprint
from mailfront.directory.entry import Entry
from mailfront.errors import DirectoryUnavailableError, MappingRefusedError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.formats import certificate_der
from mailfront.protocol.ldap_filter import Equal, to_text
from tests.support.client_certificates import (
    ANN,
    SMTP_UTF8_MAILBOX,
    USER_PRINCIPAL_NAME,
    client_certificate,
    other_name,
)

Mapping = Callable[..., CertificateMapper]


def entry(name: str, *lines: str, base: str = "ou=People,o=example.com") -> str:
    head = f"dn: uid={name},{base}\nobjectClass: inetMailUser\nuid: {name}\n"
    return head + "".join(f"{line}\n" for line in lines)


def held(certificate: x509.Certificate) -> str:
    encoded = base64.b64encode(certificate_der(certificate)).decode()
    return f"userCertificate;binary:: {encoded}"


ANN_ENTRY = entry("ann", "mail: ann@example.com", "cn: Ann Lee")
BOB_ENTRY = entry("bob", "mail: bob@example.com", "cn: Bob")


@pytest.fixture
def mapping(tmp_path: Path) -> Mapping:
    """A mapper over entries and the properties of its default mapping."""

    def make(
        *properties: str,
        entries: Sequence[str] = (ANN_ENTRY, BOB_ENTRY),
        others: Sequence[str] = (),
        functions: dict[str, MappingFunction] | None = None,
        enrolled: CertificateFault = CertificateFault.UNTRUSTED,
    ) -> CertificateMapper:
        users = tmp_path / "users.ldif"
        users.touch(mode=0o600)
        users.write_text("\n".join(entries))
        lines = ["certmap default default", *(f"default:{text}" for text in properties), *others]
        certmap = parse_certmap("\n".join(lines).encode(), tmp_path / "certmap.conf")
        source = Fixed(certmap, functions or {})
        return CertificateMapper(EmbeddedDirectory(users), source, all_have(enrolled))

    return make


class Fixed:
    def __init__(self, *loaded: object) -> None:
        self._loaded = LoadedCertmap(*loaded)  # type: ignore[arg-type]

    def current(self) -> LoadedCertmap:
        return self._loaded


def all_have(fault: CertificateFault) -> JudgeEnrolled:
    async def judge(der: bytes) -> ClientCertificate:
        return ClientCertificate(der, (), fault)

    return judge


def verified(certificate: x509.Certificate) -> ClientCertificate:
    return ClientCertificate(certificate_der(certificate))


def untrusted(certificate: x509.Certificate) -> ClientCertificate:
    return ClientCertificate(certificate_der(certificate), fault=CertificateFault.UNTRUSTED)


async def user_of(mapper: CertificateMapper, certificate: x509.Certificate) -> str:
    return (await mapper.map(verified(certificate), "imap")).user


async def reason_of(mapper: CertificateMapper, certificate: ClientCertificate) -> str:
    with pytest.raises(MappingRefusedError) as caught:
        await mapper.map(certificate, "imap")
    return str(caught.value)


async def trace_of(mapper: CertificateMapper, subject: str = ANN) -> MappingTrace:
    return await mapper.trace(verified(client_certificate(subject)), "imap")


@pytest.mark.parametrize(
    ("properties", "base", "condition"),
    [
        (["DNComps", "FilterComps e"], None, "(mail=ann@example.com)"),
        (["DNComps", "FilterComps e, uid"], None, "(&(mail=ann@example.com)(uid=ann))"),
        (
            ["DNComps ou,o,c", "FilterComps e,uid"],
            "OU=Sales,O=Example,C=US",
            "(&(mail=ann@example.com)(uid=ann))",
        ),
        (
            [],
            "MAIL=ann@example.com,UID=ann,CN=Ann Lee,OU=Sales,O=Example,C=US",
            "(objectClass=*)",
        ),
        (
            ["CmapLdapAttr certSubjectDN", "DNComps", "FilterComps"],
            None,
            f"(certSubjectDN={ANN})",
        ),
        # The dialect of the multiplexor.
        (["DNComps", "FilterComps ou=uid"], None, "(uid=Sales)"),
        (["DNComps o=dc", "FilterComps e=mail"], "DC=Example", "(mail=ann@example.com)"),
    ],
)
async def test_the_worked_examples_of_the_original(
    mapping: Mapping, properties: list[str], base: str | None, condition: str
) -> None:
    trace = await trace_of(mapping(*properties))
    assert len(trace.searches) == 1
    step = trace.searches[0]
    assert (None if step.base is None else str(step.base), to_text(step.condition)) == (
        base,
        condition,
    )


@pytest.mark.parametrize(
    ("properties", "component"),
    [
        (["DNComps", "FilterComps l"], "FilterComps"),
        (["DNComps l", "FilterComps e"], "DNComps"),
    ],
)
async def test_without_any_listed_component_there_is_no_search(
    mapping: Mapping, properties: list[str], component: str
) -> None:
    trace = await trace_of(mapping(*properties))
    assert trace.searches == []
    assert trace.reason == f"the subject has no component that {component} asks for"


async def test_a_subject_without_any_known_component_never_searches_everything(
    mapping: Mapping,
) -> None:
    trace = await trace_of(mapping("FilterComps"), "title=Manager")
    assert trace.searches == []
    assert "DNComps" in trace.reason


async def test_unknown_parts_of_the_subject_are_left_out_of_the_base(mapping: Mapping) -> None:
    trace = await trace_of(mapping(), "CN=Ann,title=Manager,O=Example")
    assert str(trace.searches[0].base) == "CN=Ann,O=Example"


async def test_a_component_that_occurs_twice_is_used_twice(mapping: Mapping) -> None:
    trace = await trace_of(mapping("DNComps ou", "FilterComps ou"), "CN=a,OU=b,OU=c")
    assert str(trace.searches[0]) == "(&(ou=b)(ou=c)) below OU=b,OU=c"


async def test_empty_values_count_as_absent(mapping: Mapping) -> None:
    trace = await trace_of(mapping("DNComps", "FilterComps l"), "CN=Ann,L=  ")
    assert "FilterComps" in trace.reason


async def test_the_address_in_the_subject_finds_its_user(mapping: Mapping) -> None:
    mapper = mapping("DNComps", "FilterComps e")
    assert await user_of(mapper, client_certificate("E=ANN@Example.com,CN=x")) == "ann@example.com"


async def test_hostile_values_stay_values(mapping: Mapping) -> None:
    certificate = client_certificate("E=*)(uid=bob)(|(uid=*,CN=x")
    reason = await reason_of(mapping("DNComps", "FilterComps e"), verified(certificate))
    assert reason == r"no entry matches (mail=\2a\29\28uid=bob\29\28|\28uid=\2a)"


async def test_an_entry_outside_the_base_is_not_found(mapping: Mapping) -> None:
    inside = entry("ann", "mail: ann@example.com", base="ou=Sales,o=Example,c=US")
    certificate = client_certificate()
    mapper = mapping("DNComps ou,o,c", "FilterComps e", entries=[inside])
    assert await user_of(mapper, certificate) == "ann@example.com"
    mapper = mapping("DNComps ou,o,c", "FilterComps e")
    assert "no entry matches" in await reason_of(mapper, verified(certificate))


async def test_the_subject_as_it_is_can_name_the_entry(mapping: Mapping) -> None:
    own = "dn: uid=ann,ou=Sales,o=Example\nobjectClass: inetMailUser\nuid: ann\nmail: a@b.example\n"
    certificate = client_certificate("UID=ann,OU=Sales,O=Example")
    assert await user_of(mapping(entries=[own]), certificate) == "a@b.example"


async def test_more_than_one_match_is_no_login(mapping: Mapping) -> None:
    twins = [
        entry("a1", "mail: a1@example.com", "cn: Ann Lee"),
        entry("a2", "mail: a2@example.com", "cn: Ann Lee"),
    ]
    mapper = mapping("DNComps", "FilterComps cn", entries=twins)
    reason = await reason_of(mapper, verified(client_certificate()))
    assert reason == "more than one entry matches (cn=Ann Lee)"


async def test_a_mapping_that_names_nothing_to_search_for_never_takes_the_only_user(
    mapping: Mapping,
) -> None:
    mapper = mapping("DNComps", "FilterComps", entries=[BOB_ENTRY])
    assert "nothing to search for" in await reason_of(mapper, verified(client_certificate()))


async def test_the_issuer_chooses_the_mapping_whatever_its_spelling(mapping: Mapping) -> None:
    properties = ["mine:DNComps", "mine:FilterComps uid"]
    mapper = mapping(
        "DNComps",
        "FilterComps l",
        others=["certmap mine  c = us ; o=EXAMPLE", *properties],
    )
    trace = await trace_of(mapper)
    assert trace.mapping is not None
    assert trace.mapping.name == "default"
    mapper = mapping(
        "DNComps",
        "FilterComps l",
        others=[
            'certmap mine  cn="client  CA" ; o=EXAMPLE, C=us',
            "mine:DNComps",
            "mine:FilterComps uid",
        ],
    )
    trace = await trace_of(mapper)
    assert trace.mapping is not None
    assert trace.mapping.name == "mine"
    assert trace.entry is not None
    assert trace.entry.user == "ann@example.com"


async def test_the_subject_of_the_certificate_is_looked_up_first(mapping: Mapping) -> None:
    by_subject = entry(
        "carol", "mail: carol@example.com", "certSubjectDN: " + ANN.replace(",", ", ")
    )
    entries = [ANN_ENTRY, by_subject]
    mapper = mapping("CmapLdapAttr certSubjectDN", "DNComps", "FilterComps e", entries=entries)
    assert await user_of(mapper, client_certificate()) == "carol@example.com"
    trace = await trace_of(mapper, "E=ann@example.com,CN=Other")
    assert [str(step) for step in trace.searches] == [
        "(certSubjectDN=E=ann@example.com,CN=Other)",
        "(mail=ann@example.com)",
    ]
    assert trace.entry is not None
    assert trace.entry.user == "ann@example.com"


class TestVerifycert:
    PROPERTIES = ("DNComps", "FilterComps cn", "verifycert on")

    async def test_the_certificate_must_be_in_the_entry(self, mapping: Mapping) -> None:
        mine, other = client_certificate(), client_certificate()
        mapper = mapping(*self.PROPERTIES, entries=[ANN_ENTRY + held(other) + "\n" + held(mine)])
        assert await user_of(mapper, mine) == "ann@example.com"
        mapper = mapping(*self.PROPERTIES, entries=[ANN_ENTRY + held(other)])
        assert await reason_of(mapper, verified(mine)) == (
            "verifycert: the entry holds only other certificates than this"
        )
        mapper = mapping(*self.PROPERTIES)
        assert await reason_of(mapper, verified(mine)) == (
            "verifycert: the entry holds no certificate"
        )

    async def test_it_singles_out_one_of_several(self, mapping: Mapping) -> None:
        mine = client_certificate()
        entries = [
            entry(f"a{number}", f"mail: a{number}@example.com", "cn: Ann Lee", *certificates)
            for number, certificates in enumerate([[], [held(mine)], [held(client_certificate())]])
        ]
        mapper = mapping(*self.PROPERTIES, entries=entries)
        assert await user_of(mapper, mine) == "a1@example.com"
        reason = await reason_of(mapper, verified(client_certificate()))
        assert reason == "verifycert: the entries hold only other certificates than this"

    async def test_one_certificate_in_two_entries_is_nobodys(self, mapping: Mapping) -> None:
        mine = client_certificate()
        entries = [
            entry(name, f"mail: {name}@example.com", "cn: Ann Lee", held(mine)) for name in "ab"
        ]
        mapper = mapping(*self.PROPERTIES, entries=entries)
        assert "more than one entry holds" in await reason_of(mapper, verified(mine))

    async def test_it_works_without_base_and_filter_among_few(
        self, mapping: Mapping, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mine = client_certificate()
        mapper = mapping(
            "DNComps", "FilterComps", "verifycert", entries=[BOB_ENTRY, ANN_ENTRY + held(mine)]
        )
        assert await user_of(mapper, mine) == "ann@example.com"
        monkeypatch.setattr(certificate_mapping, "MAXIMUM_CANDIDATES", 1)
        assert "more than 1 entries" in await reason_of(mapper, verified(mine))


class TestAlternativeNames:
    async def test_mail_addresses_find_the_user(self, mapping: Mapping) -> None:
        entries = [ANN_ENTRY, entry("zoe", "mail: zoë@bücher.example")]
        mapper = mapping("SanEmail on", entries=entries)
        ann = client_certificate("CN=x", alternative=[x509.RFC822Name("ANN@example.com")])
        zoe = client_certificate(
            "", alternative=[other_name(SMTP_UTF8_MAILBOX, "zoë@xn--bcher-kva.example")]
        )
        assert await user_of(mapper, ann) == "ann@example.com"
        assert await user_of(mapper, zoe) == "zoë@xn--bcher-kva.example"

    async def test_several_addresses_of_one_user_are_that_user(self, mapping: Mapping) -> None:
        names = [x509.RFC822Name(text) for text in ("ann@example.com", "old@example.com")]
        mapper = mapping("SanEmail on")
        assert await user_of(mapper, client_certificate(alternative=names)) == "ann@example.com"

    async def test_addresses_of_two_users_are_ambiguous(self, mapping: Mapping) -> None:
        names = [x509.RFC822Name(text) for text in ("ann@example.com", "bob@example.com")]
        certificate = client_certificate(alternative=names)
        reason = await reason_of(mapping("SanEmail on"), verified(certificate))
        assert reason.startswith("more than one entry matches (mail=ann@")

    async def test_they_alone_decide_where_the_certificate_has_them(self, mapping: Mapping) -> None:
        mapper = mapping("SanEmail on", "DNComps", "FilterComps e")
        other = client_certificate(alternative=[x509.RFC822Name("carol@example.com")])
        assert await user_of(mapper, client_certificate()) == "ann@example.com"
        assert "no entry" in await reason_of(mapper, verified(other))

    async def test_they_are_not_looked_at_unless_asked_for(self, mapping: Mapping) -> None:
        mapper = mapping("DNComps", "FilterComps e")
        names = [x509.RFC822Name("bob@example.com")]
        assert await user_of(mapper, client_certificate(alternative=names)) == "ann@example.com"

    async def test_principal_names_find_the_user(self, mapping: Mapping) -> None:
        entries = [ANN_ENTRY + "userPrincipalName: ann@CORP.example\n", BOB_ENTRY]
        mapper = mapping("SanUPN on", entries=entries)
        by_own = client_certificate(
            alternative=[other_name(USER_PRINCIPAL_NAME, "ann@corp.example")]
        )
        by_mail = client_certificate(
            alternative=[other_name(USER_PRINCIPAL_NAME, "bob@example.com")]
        )
        assert await user_of(mapper, by_own) == "ann@example.com"
        assert await user_of(mapper, by_mail) == "bob@example.com"

    async def test_a_list_of_components_still_makes_the_base(self, mapping: Mapping) -> None:
        names = [x509.RFC822Name("ann@example.com")]
        mapper = mapping("SanEmail on", "DNComps o")
        reason = await reason_of(mapper, verified(client_certificate(alternative=names)))
        assert reason == "no entry matches (mail=ann@example.com) below O=Example"


class TestPinned:
    @staticmethod
    def enrolled(certificate: x509.Certificate, name: str = "ann") -> str:
        fingerprint = f"mailFrontKeyFingerprint: {key_fingerprint(certificate)}"
        return entry(name, f"mail: {name}@example.com", held(certificate), fingerprint)

    async def test_a_certificate_that_nobody_vouches_for_is_taken_by_its_key(
        self, mapping: Mapping
    ) -> None:
        enrolled, renewed = client_certificate("CN=x", issuer="CN=x"), client_certificate("CN=y")
        mapper = mapping("pinned on", entries=[self.enrolled(enrolled)])
        for certificate in (enrolled, renewed):
            assert (await mapper.map(untrusted(certificate), "pop")).user == "ann@example.com"

    async def test_without_pinned_it_is_nobodys(self, mapping: Mapping) -> None:
        certificate = client_certificate()
        entries = [self.enrolled(certificate)]
        mapper = mapping("DNComps", "FilterComps e", entries=entries)
        reason = await reason_of(mapper, untrusted(certificate))
        assert reason == "no CA that is trusted for clients issued it"

    async def test_another_key_is_nobodys(self, mapping: Mapping) -> None:
        stranger = client_certificate(key=ec.generate_private_key(ec.SECP256R1()))
        mapper = mapping(
            "pinned on", "DNComps", "FilterComps e", entries=[self.enrolled(client_certificate())]
        )
        assert "enrolled for nobody" in await reason_of(mapper, untrusted(stranger))

    async def test_a_fingerprint_without_the_certificate_is_not_enough(
        self, mapping: Mapping
    ) -> None:
        certificate = client_certificate()
        stranger = client_certificate(key=ec.generate_private_key(ec.SECP256R1()))
        entries = [
            ANN_ENTRY
            + f"mailFrontKeyFingerprint: {key_fingerprint(certificate)}\n"
            + held(stranger)
        ]
        reason = await reason_of(mapping("pinned on", entries=entries), untrusted(certificate))
        assert "no certificate with that key" in reason

    async def test_a_key_of_two_users_is_nobodys(self, mapping: Mapping) -> None:
        certificate = client_certificate()
        entries = [self.enrolled(certificate, "ann"), self.enrolled(certificate, "bob")]
        reason = await reason_of(mapping("pinned on", entries=entries), untrusted(certificate))
        assert "more than one user" in reason

    @pytest.mark.parametrize(
        ("begins", "days", "reason"), [(-30, 29, "it has expired"), (1, 30, "it is not valid yet")]
    )
    async def test_dates_count_also_behind_the_missing_trust(
        self, mapping: Mapping, begins: int, days: int, reason: str
    ) -> None:
        start = datetime.now(UTC) + timedelta(days=begins)
        certificate = client_certificate(begins=start, days=days)
        mapper = mapping("pinned on", entries=[self.enrolled(certificate)])
        assert await reason_of(mapper, untrusted(certificate)) == reason

    async def test_a_servers_certificate_is_no_clients(self, mapping: Mapping) -> None:
        use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = client_certificate(extensions=[use])
        mapper = mapping("pinned on", entries=[self.enrolled(certificate)])
        assert "not for TLS clients" in await reason_of(mapper, untrusted(certificate))

    async def test_a_certificate_made_with_a_stolen_key_is_worth_no_more_than_the_enrolled_one(
        self, mapping: Mapping
    ) -> None:
        enrolled, forged = client_certificate(), client_certificate("CN=x", issuer="CN=x")
        entries = [self.enrolled(enrolled)]
        properties = ("pinned on", "DNComps", "FilterComps e")
        mapper = mapping(*properties, entries=entries, enrolled=CertificateFault.REVOKED)
        reason = await reason_of(mapper, untrusted(forged))
        assert reason == "the enrolled certificate of its key: it is revoked"
        # A CA vouches for a new certificate of the same key.
        assert await user_of(mapper, client_certificate()) == "ann@example.com"

    async def test_a_trusted_certificate_whose_key_is_not_enrolled_is_mapped_as_ever(
        self, mapping: Mapping
    ) -> None:
        mapper = mapping("pinned on", "DNComps", "FilterComps e")
        assert await user_of(mapper, client_certificate()) == "ann@example.com"


def test_a_certificate_is_worth_a_look_if_it_is_verified_or_may_be_pinned(
    mapping: Mapping,
) -> None:
    certificate = client_certificate()
    expired = ClientCertificate(b"", fault=CertificateFault.EXPIRED)
    plain, pinned = mapping("DNComps"), mapping("pinned on")
    assert plain.accepts(verified(certificate))
    assert not plain.accepts(untrusted(certificate))
    assert pinned.accepts(untrusted(certificate))
    assert not pinned.accepts(expired)


@pytest.mark.parametrize(
    "fault",
    [
        fault
        for fault in CertificateFault
        if fault.value and fault is not CertificateFault.UNTRUSTED
    ],
)
async def test_a_certificate_with_another_fault_is_nobodys(
    mapping: Mapping, fault: CertificateFault
) -> None:
    certificate = client_certificate()
    mapper = mapping(
        "pinned on", "DNComps", "FilterComps e", entries=[TestPinned.enrolled(certificate)]
    )
    presented = ClientCertificate(certificate_der(certificate), fault=fault, detail="serial 5")
    assert await reason_of(mapper, presented) == f"{fault.value} (serial 5)"


async def test_a_certificate_with_any_octet_changed_is_mapped_or_refused(mapping: Mapping) -> None:
    names = [x509.RFC822Name("ann@example.com"), other_name(USER_PRINCIPAL_NAME, "a@example.com")]
    use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    der = certificate_der(client_certificate(alternative=names, extensions=[use]))
    mapper = mapping("DNComps", "FilterComps e", "SanEmail", "SanUPN", "pinned")
    for position, octet in enumerate(der):
        for other in (0x00, 0x05, 0x30, 0x80, 0xA3, octet ^ 1, octet ^ 0x80):
            changed = der[:position] + bytes((other,)) + der[position + 1 :]
            for fault in (CertificateFault.NONE, CertificateFault.UNTRUSTED):
                trace = await mapper.trace(ClientCertificate(changed, fault=fault), "imap")
                assert (trace.entry is None) == bool(trace.reason)


async def test_what_is_no_certificate_is_nobodys(mapping: Mapping) -> None:
    assert "not an X.509" in await reason_of(mapping(), ClientCertificate(b"\x30\x00"))


async def test_a_directory_that_does_not_answer_is_not_a_refusal(mapping: Mapping) -> None:
    class Silent:
        async def search(self, *_: object, **__: object) -> list[Entry]:
            raise DirectoryUnavailableError("no answer")

    certmap = parse_certmap(b"certmap default default", Path("certmap.conf"))
    mapper = CertificateMapper(Silent(), Fixed(certmap, {}), all_have(CertificateFault.UNTRUSTED))
    with pytest.raises(DirectoryUnavailableError):
        await mapper.map(verified(client_certificate()), "imap")


class TestFunctions:
    async def test_a_function_of_ones_own_answers_in_the_place_of_the_search(
        self, mapping: Mapping
    ) -> None:
        async def by_serial(question: MappingQuestion) -> Sequence[Entry] | None:
            assert question.service == "imap"
            assert question.certificate.serial_number
            assert str(question.names.subject) == ANN
            return await question.search(None, Equal("uid", "bob"))

        mapper = mapping("module own:by_serial", functions={"own:by_serial": by_serial})
        assert await user_of(mapper, client_certificate()) == "bob@example.com"
        trace = await trace_of(mapper)
        assert [str(step) for step in trace.searches] == ["(uid=bob)"]

    async def test_its_none_leaves_the_decision_to_the_mapping(self, mapping: Mapping) -> None:
        async def nothing(_: MappingQuestion) -> None:
            return None

        mapper = mapping("module a:b", "DNComps", "FilterComps e", functions={"a:b": nothing})
        assert await user_of(mapper, client_certificate()) == "ann@example.com"

    async def test_its_answer_is_judged_like_any_other(self, mapping: Mapping) -> None:
        async def everybody(question: MappingQuestion) -> Sequence[Entry]:
            return await question.search(None, Equal("objectClass", "inetMailUser"))

        mapper = mapping("module a:b", functions={"a:b": everybody})
        assert "more than one" in await reason_of(mapper, verified(client_certificate()))
        mapper = mapping("module a:b", "verifycert on", functions={"a:b": everybody})
        assert "hold no certificate" in await reason_of(mapper, verified(client_certificate()))

    async def test_its_failure_is_logged_and_no_login(
        self, mapping: Mapping, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(_: MappingQuestion) -> Sequence[Entry]:
            raise ZeroDivisionError

        mapper = mapping("module a:b", functions={"a:b": broken})
        with caplog.at_level(logging.ERROR):
            reason = await reason_of(mapper, verified(client_certificate()))
        assert reason == "a:b failed: ZeroDivisionError"
        assert "a:b failed" in caplog.text

    async def test_its_silence_is_an_outage(
        self, mapping: Mapping, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def silent(_: MappingQuestion) -> Sequence[Entry]:
            await asyncio.sleep(3600)
            return []

        monkeypatch.setattr(certificate_mapping, "FUNCTION_TIMEOUT", 0.01)
        mapper = mapping("module a:b", functions={"a:b": silent})
        with pytest.raises(DirectoryUnavailableError, match="did not answer"):
            await mapper.map(verified(client_certificate()), "imap")

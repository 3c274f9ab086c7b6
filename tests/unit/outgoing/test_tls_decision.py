"""Which rule decides what is demanded of the TLS with a server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.channel import Demand
from mailfront.errors import DestinationError
from mailfront.outgoing.dane import DaneState, DaneStatus, TlsaRecord
from mailfront.outgoing.policy_map import Level, PolicyEntry
from mailfront.outgoing.tls_decision import Protection, TlsFacts, decide
from mailfront.outgoing.transport_policy import StsMode, StsPolicy

HOST, DOMAIN = "mx.example.test", "example.test"
RECORD = TlsaRecord(3, 1, 1, bytes(32))
ABSENT = DaneState(DaneStatus.ABSENT, HOST)
USABLE = DaneState(DaneStatus.USABLE, HOST, (RECORD,))
UNUSABLE = DaneState(DaneStatus.UNUSABLE, HOST)
LOST = DaneState(DaneStatus.FAILED, HOST, problem="no answer in time")
ENFORCE = StsPolicy(DOMAIN, StsMode.ENFORCE, (HOST,))
ELSEWHERE = StsPolicy(DOMAIN, StsMode.ENFORCE, ("mx.elsewhere.test",))
TESTING = StsPolicy(DOMAIN, StsMode.TESTING, ("mx.elsewhere.test",))
NO_RULE = TlsFacts(HOST, DOMAIN, Demand.MAY, authenticated=False, dane=ABSENT)


def entry(level: Level, *matches: str) -> PolicyEntry:
    return PolicyEntry(DOMAIN, level, matches, 1)


def protection(facts: TlsFacts) -> Protection | None:
    """What is demanded, None where the server must not be used."""
    try:
        return decide(facts).protection
    except DestinationError:
        return None


CLEAR, OPPORTUNISTIC, ENCRYPTED = Protection.CLEAR, Protection.OPPORTUNISTIC, Protection.ENCRYPTED
VERIFIED, DANE = Protection.VERIFIED, Protection.DANE


@pytest.mark.parametrize(
    ("dane", "sts", "may", "must"),
    [
        (ABSENT, None, OPPORTUNISTIC, VERIFIED),
        (ABSENT, TESTING, OPPORTUNISTIC, VERIFIED),
        (ABSENT, ENFORCE, VERIFIED, VERIFIED),
        (ABSENT, ELSEWHERE, None, None),
        (USABLE, None, DANE, DANE),
        (USABLE, ELSEWHERE, DANE, DANE),
        (UNUSABLE, None, ENCRYPTED, VERIFIED),
        (UNUSABLE, ENFORCE, VERIFIED, VERIFIED),
        (LOST, None, None, None),
        (LOST, ENFORCE, None, None),
    ],
)
def test_dane_counts_before_mta_sts_and_that_before_the_channel(
    dane: DaneState, sts: StsPolicy | None, may: Protection | None, must: Protection | None
) -> None:
    facts = replace(NO_RULE, dane=dane, sts=sts)
    assert protection(facts) is may
    assert protection(replace(facts, channel=Demand.MUST)) is must
    assert protection(replace(facts, channel=Demand.NEVER)) is CLEAR


@pytest.mark.parametrize(
    ("level", "dane", "may", "must"),
    [
        (Level.NONE, USABLE, CLEAR, DANE),
        (Level.NONE, ABSENT, CLEAR, VERIFIED),
        (Level.MAY, LOST, OPPORTUNISTIC, VERIFIED),
        (Level.ENCRYPT, LOST, ENCRYPTED, ENCRYPTED),
        (Level.VERIFY, USABLE, VERIFIED, VERIFIED),
        (Level.SECURE, ABSENT, VERIFIED, VERIFIED),
        (Level.FINGERPRINT, ABSENT, Protection.FINGERPRINT, Protection.FINGERPRINT),
        (Level.DANE, USABLE, DANE, DANE),
        (Level.DANE, ABSENT, OPPORTUNISTIC, VERIFIED),
        (Level.DANE, UNUSABLE, ENCRYPTED, VERIFIED),
        (Level.DANE, LOST, None, None),
        (Level.DANE_ONLY, USABLE, DANE, DANE),
        (Level.DANE_ONLY, UNUSABLE, None, None),
        (Level.DANE_ONLY, ABSENT, None, None),
    ],
)
def test_a_line_of_the_map_is_an_exception_that_never_takes_away_the_tls_of_musttls(
    level: Level, dane: DaneState, may: Protection | None, must: Protection | None
) -> None:
    facts = replace(NO_RULE, dane=dane, sts=ELSEWHERE, entry=entry(level))
    assert protection(facts) is may
    assert protection(replace(facts, channel=Demand.MUST)) is must


def test_names_are_those_that_postfix_takes() -> None:
    assert decide(replace(NO_RULE, entry=entry(Level.VERIFY))).names == (HOST,)
    assert decide(replace(NO_RULE, entry=entry(Level.SECURE))).names == (DOMAIN, f".{DOMAIN}")
    named = entry(Level.VERIFY, "nexthop", "other.test")
    assert decide(replace(NO_RULE, entry=named)).names == (DOMAIN, "other.test")
    assert decide(replace(NO_RULE, channel=Demand.MUST)).names == (HOST, DOMAIN)
    assert decide(replace(NO_RULE, sts=ENFORCE)).names == (HOST,)


def test_requiretls_needs_a_server_that_is_beyond_doubt() -> None:
    facts = replace(NO_RULE, require_tls=True)
    with pytest.raises(DestinationError) as caught:
        decide(facts)
    assert (caught.value.temporary, caught.value.status) == (False, "5.7.30")
    assert protection(replace(facts, channel=Demand.NEVER, dane=USABLE)) is None
    for more in ({"dane": USABLE}, {"sts": ENFORCE}, {"authenticated": True}):
        demand = decide(replace(facts, **more))
        assert demand.require_tls
        assert demand.protection in {DANE, VERIFIED}
    # No exception of the operator's and no header counts against it.
    excepted = replace(facts, dane=USABLE, entry=entry(Level.NONE), tls_optional=True)
    assert protection(excepted) is DANE


def test_tls_required_no_passes_over_dane_and_mta_sts_alone() -> None:
    for more in ({"dane": USABLE}, {"dane": LOST}, {"sts": ELSEWHERE}):
        facts = replace(NO_RULE, tls_optional=True, **more)
        assert protection(facts) is OPPORTUNISTIC
        assert protection(replace(facts, channel=Demand.MUST)) in {VERIFIED, DANE}
    assert protection(replace(NO_RULE, tls_optional=True, entry=entry(Level.ENCRYPT))) is ENCRYPTED


@given(
    channel=st.just(Demand.MUST),
    dane=st.sampled_from([ABSENT, USABLE, UNUSABLE, LOST]),
    sts=st.sampled_from([None, ENFORCE, ELSEWHERE, TESTING]),
    level=st.sampled_from([None, *Level]),
    require_tls=st.booleans(),
    tls_optional=st.booleans(),
    authenticated=st.booleans(),
)
def test_under_musttls_nothing_ever_goes_in_clear(
    channel: Demand, dane: DaneState, sts: StsPolicy | None, level: Level | None,
    require_tls: bool, tls_optional: bool, authenticated: bool,
) -> None:  # fmt: skip
    chosen = None if level is None else entry(level, "ab" * 32)
    facts = TlsFacts(
        HOST, DOMAIN, channel, authenticated, dane, chosen, sts, require_tls, tls_optional
    )
    try:
        demand = decide(facts)
    except DestinationError:
        return
    assert demand.is_mandatory
    assert demand.reason

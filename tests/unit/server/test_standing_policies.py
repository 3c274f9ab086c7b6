"""Standing policies out of the options: what is on, whom they believe, who reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.interfaces.message_sink import Envelope, Message
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.outgoing.mta_sts.source import StsPolicies
from mailfront.outgoing.resolver import Resolver
from mailfront.outgoing.tls_report.reporting import TlsReporting
from mailfront.outgoing.transport_policy import NoPolicies, NoReports
from mailfront.server.standing_policies import (
    StandingPolicies,
    WebTrust,
    reporting_organization,
)
from tests.support.issuing import Issuer
from tests.support.keystores import CHEAP


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with InternalToken.create(tmp_path / "db", Secret("password"), cost=CHEAP) as made:
        yield made


async def nowhere(_envelope: Envelope, _message: Message) -> None:
    raise AssertionError("nothing is sent")


def made(tmp_path: Path, token: InternalToken, **options: str) -> StandingPolicies:
    named = {name.replace("_", "."): text for name, text in options.items()}
    configuration = Configuration.of({"service.defaultdomain": "example.test"} | named)
    return StandingPolicies(
        ServerRoot(tmp_path), configuration, Resolver(lambda: ()), token, nowhere
    )


async def test_policies_count_and_nothing_is_reported_by_default(
    tmp_path: Path, token: InternalToken
) -> None:
    standing = made(tmp_path, token)
    assert isinstance(standing.policies, StsPolicies)
    assert isinstance(standing.reports, NoReports)
    standing.start()
    await standing.close()


async def test_both_may_be_the_other_way(tmp_path: Path, token: InternalToken) -> None:
    (tmp_path / "queue").mkdir()
    standing = made(tmp_path, token, mtasts_enable="no", tlsreport_enable="yes")
    assert isinstance(standing.policies, NoPolicies)
    assert isinstance(standing.reports, TlsReporting)
    standing.start()
    await standing.close()


async def test_mail_goes_out_though_reports_cannot_be_kept(
    tmp_path: Path, token: InternalToken
) -> None:
    standing = made(tmp_path, token, tlsreport_enable="yes")
    assert "TLS reports" in standing.problem
    assert isinstance(standing.reports, NoReports)
    await standing.close()


def test_who_is_believed_follows_the_keystore(token: InternalToken) -> None:
    trust = WebTrust(token, with_public=False)
    assert trust.context().get_ca_certs() == []
    token.add_authority("root", Issuer().root)
    trust.follow(token)
    assert len(trust.context().get_ca_certs()) == 1
    assert trust.context() is trust.context()


def test_public_authorities_are_believed_beside_it_where_wanted(token: InternalToken) -> None:
    assert len(WebTrust(token, with_public=True).context().get_ca_certs()) > 50


def test_reports_come_from_the_postmaster_unless_another_is_named() -> None:
    domain = {"service.defaultdomain": "example.test"}
    who = reporting_organization(Configuration.of(domain))
    assert (who.name, who.contact, who.submitter) == (
        "example.test", "postmaster@example.test", "example.test",
    )  # fmt: skip
    other = {"tlsreport.contact": "tls@Example.org", "tlsreport.organization": "Example Ltd"}
    who = reporting_organization(Configuration.of(domain | other))
    assert (who.name, who.contact, who.submitter) == (
        "Example Ltd", "tls@example.org", "example.org",
    )  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"tlsreport.contact": "nobody"}])
def test_a_report_needs_somebody_to_ask(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"tlsreport\.contact"):
        reporting_organization(Configuration.of(options))

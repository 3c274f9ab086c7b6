"""The keys of an issuer: found, kept, looked for again, and not too often."""

from __future__ import annotations

import asyncio
import logging

import pytest
from joserfc.jwk import ECKey

from mailfront.authentication import issuer_keys
from mailfront.authentication.issuer_keys import IssuerKeys, discovery_address, fetch_json
from mailfront.errors import DirectoryUnavailableError
from tests.support.token_issuer import TokenIssuer

ISSUER = "https://login.example.test"
KEYS = f"{ISSUER}/keys"
KEY = ECKey.generate_key("P-256", {"kid": "one"}).as_dict()
SET = {"keys": [KEY]}


class Web:
    """What is to be had by address; the clock moves by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.documents: dict[str, object] = {
            discovery_address(ISSUER): {"issuer": ISSUER, "jwks_uri": KEYS},
            KEYS: SET,
        }
        self.asked: list[str] = []

    async def fetch(self, address: str) -> object:
        self.asked.append(address)
        await asyncio.sleep(0)
        document = self.documents[address]
        if isinstance(document, Exception):
            raise document
        return document

    def keys(self, address: str = "") -> IssuerKeys:
        return IssuerKeys(ISSUER, address, fetch=self.fetch, clock=lambda: self.now)


async def test_the_keys_are_where_the_issuers_configuration_says() -> None:
    web = Web()
    keys = web.keys()
    assert [key.kid for key in await keys.keys()] == ["one"]
    await keys.keys()
    assert web.asked == [discovery_address(ISSUER), KEYS]
    assert discovery_address(ISSUER + "/") == f"{ISSUER}/.well-known/openid-configuration"


async def test_an_operator_may_name_the_place() -> None:
    web = Web()
    await web.keys(KEYS).keys()
    assert web.asked == [KEYS]


async def test_many_who_ask_at_once_are_one_look() -> None:
    web = Web()
    keys = web.keys(KEYS)
    await asyncio.gather(*(keys.keys() for _ in range(20)))
    assert web.asked == [KEYS]


@pytest.mark.parametrize(
    "document",
    [
        OSError("refused"), TimeoutError(), ValueError("HTTP status 500"), {}, [], {"keys": []},
        {"keys": "x"}, {"keys": [{"kty": "EC"}]}, {"keys": [1]}, RecursionError("too deep"),
        AttributeError("no such thing"),
    ],
)  # fmt: skip
async def test_without_keys_nothing_is_known_and_the_operator_is_told(
    document: object, caplog: pytest.LogCaptureFixture
) -> None:
    web = Web()
    web.documents[KEYS] = document
    keys = web.keys()
    for _ in range(3):
        with pytest.raises(DirectoryUnavailableError):
            await keys.keys()
    assert keys.problem.startswith(f"the keys of {ISSUER} cannot be fetched")
    assert len(caplog.records) == 1
    # Looked for again only after a while.
    assert web.asked.count(KEYS) == 1
    web.now += issuer_keys.RETRY_INTERVAL
    web.documents[KEYS] = SET
    await keys.keys()
    assert keys.problem == ""


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"}, {"kty": "RSA", "n": "AQAB"},
        {"kty": "RSA", "n": "\u00e9", "e": "AQAB"}, {"kty": ["RSA"]}, {"kty": "AKP"}, {}, 1, None,
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "x" * 10_000 + "\n"}, "text",
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "use": "sig", "key_ops": [[]]},
    ],
)  # fmt: skip
async def test_a_key_that_cannot_be_read_is_ignored_and_told_once(
    odd: object, caplog: pytest.LogCaptureFixture
) -> None:
    web = Web()
    web.documents[KEYS] = {"keys": [odd, KEY]}
    keys = web.keys(KEYS)
    for _ in range(3):
        assert [key.kid for key in await keys.fresh_keys()] == ["one"]
        web.now += issuer_keys.LEAST_INTERVAL
    assert keys.problem == ""
    assert web.asked == [KEYS] * 3
    (record,) = caplog.records
    told = record.getMessage()
    assert told.startswith(f"of the keys of {ISSUER} 1 cannot be used: ")
    assert "\n" not in told
    assert len(told) < 200


async def test_of_very_many_keys_the_first_count(caplog: pytest.LogCaptureFixture) -> None:
    web = Web()
    web.documents[KEYS] = {"keys": [KEY] * (issuer_keys.MAXIMUM_KEYS + 5)}
    assert len(list(await web.keys(KEYS).keys())) == issuer_keys.MAXIMUM_KEYS
    assert "5 cannot be used: more than 100 keys" in caplog.text


async def test_a_document_nested_too_deeply_does_not_end_the_following(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web = Web()
    web.documents[KEYS] = RecursionError()
    monkeypatch.setattr(issuer_keys, "RETRY_INTERVAL", 0)
    keys = web.keys(KEYS)
    keys.start()
    while len(web.asked) < 2:
        await asyncio.sleep(0)
    assert keys.problem.endswith("RecursionError")
    web.documents[KEYS] = SET
    while keys.problem:
        await asyncio.sleep(0)
    assert [key.kid for key in await keys.keys()] == ["one"]
    keys.close()


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://login.example.org", "jwks_uri": KEYS}, {"issuer": ISSUER}, [],
        {"issuer": ISSUER, "jwks_uri": "http://login.example.test/keys"},
    ],
)  # fmt: skip
async def test_a_configuration_of_somebody_else_or_without_tls_leads_nowhere(
    configuration: object,
) -> None:
    web = Web()
    web.documents[discovery_address(ISSUER)] = configuration
    with pytest.raises(DirectoryUnavailableError):
        await web.keys().keys()


async def test_tokens_cause_a_look_no_more_than_once_a_minute() -> None:
    web = Web()
    keys = web.keys(KEYS)
    await keys.keys()
    for _ in range(5):
        await keys.fresh_keys()
    assert web.asked == [KEYS]
    web.now += issuer_keys.LEAST_INTERVAL
    await keys.fresh_keys()
    assert web.asked == [KEYS] * 2


async def test_what_is_known_goes_on_to_count_for_a_day() -> None:
    web = Web()
    keys = web.keys(KEYS)
    await keys.keys()
    web.documents[KEYS] = OSError("refused")
    web.now += issuer_keys.KEPT_FOR - 1
    assert await keys.fresh_keys()
    assert keys.problem
    web.now += 2
    with pytest.raises(DirectoryUnavailableError):
        await keys.keys()


async def test_they_are_fetched_in_the_background_from_the_start() -> None:
    web = Web()
    keys = web.keys(KEYS)
    keys.start()
    for _ in range(10):
        await asyncio.sleep(0)
    assert web.asked == [KEYS]
    keys.close()
    keys.close()


async def test_a_real_issuer_on_loopback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with TokenIssuer() as issuer:
        keys = IssuerKeys(issuer.address)
        assert [key.kid for key in await keys.keys()] == ["first"]
        with pytest.raises(ValueError, match="HTTP status 404"):
            await fetch_json(f"{issuer.address}/elsewhere")

"""Requests that cannot be read are one line of the log each."""

from __future__ import annotations

import logging

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from mailfront.front.http.bad_requests import BadRequestFilter


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.Logger("of aiohttp")
    logger.addFilter(BadRequestFilter())
    return logger


def test_a_bad_request_leaves_a_line_and_no_stack(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    logger.addHandler(caplog.handler)
    try:
        raise BadHttpMessage("Invalid char:\n\n  b'\\x00'\n" + "x" * 5000)
    except BadHttpMessage:
        logger.exception("Error handling request from %s", "192.0.2.7")
    [record] = caplog.records
    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert record.getMessage().startswith("Error handling request from 192.0.2.7: ")
    assert "\n" not in caplog.text.strip()
    assert len(caplog.text) < 400


def test_a_fault_of_our_own_keeps_its_stack(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    logger.addHandler(caplog.handler)
    try:
        raise RuntimeError("ours")
    except RuntimeError:
        logger.exception("Unhandled exception")
    assert "RuntimeError: ours" in caplog.text
    assert caplog.records[0].levelname == "ERROR"

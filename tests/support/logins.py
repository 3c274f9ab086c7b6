"""One login per service by Python's own clients: what the server answered, in one word.

`OK`; `WRONG` for a wrong name or password or an account that is shut; `LATER` for what may go well
another time. Any other answer fails the test.
"""

from __future__ import annotations

import http.cookiejar
import imaplib
import poplib
import re
import smtplib
import urllib.error
import urllib.parse
import urllib.request

from tests.support.dialogue import unverified_context
from tests.support.ports import LOOPBACK

OK, WRONG, LATER = "OK", "WRONG", "LATER"
_TIMEOUT = 30


def imap(port: int, user: str, password: str) -> str:
    """LOGIN over imaps."""
    client = imaplib.IMAP4_SSL(LOOPBACK, port, ssl_context=unverified_context(), timeout=_TIMEOUT)
    try:
        # imaplib quotes the password alone.
        client.login(f'"{user}"', password)
    except imaplib.IMAP4.error as error:
        return _judged(str(error), {"[AUTHENTICATIONFAILED]": WRONG, "[UNAVAILABLE]": LATER})
    else:
        return OK
    finally:
        client.shutdown()


def pop(port: int, user: str, password: str) -> str:
    """USER and PASS over pop3s."""
    client = poplib.POP3_SSL(LOOPBACK, port, context=unverified_context(), timeout=_TIMEOUT)
    try:
        client.user(user)
        client.pass_(password)
    except poplib.error_proto as error:
        return _judged(str(error), {"-ERR [AUTH]": WRONG, "-ERR [SYS/TEMP]": LATER})
    else:
        return OK
    finally:
        client.close()


def submission(port: int, user: str, password: str) -> str:
    """AUTH over submissions."""
    client = smtplib.SMTP_SSL(LOOPBACK, port, context=unverified_context(), timeout=_TIMEOUT)
    try:
        client.login(user, password)
    except smtplib.SMTPAuthenticationError as error:
        return {535: WRONG, 454: LATER}[error.smtp_code]
    else:
        return OK
    finally:
        client.close()


def webmail(port: int, user: str, password: str) -> str:
    """The sign-in page."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=unverified_context()),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
    )
    url = f"https://localhost:{port}/sign-in"
    page = opener.open(url, timeout=_TIMEOUT).read().decode()
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    form = urllib.parse.urlencode({"csrf_token": token[1], "login": user, "password": password})
    try:
        answer = opener.open(url, form.encode(), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        return {401: WRONG, 503: LATER}[error.code]
    assert answer.url.endswith("/mail")
    return OK


LOGINS = {"imaps": imap, "pops": pop, "submissions": submission, "https": webmail}
"""By the name of the port."""


def _judged(answer: str, meanings: dict[str, str]) -> str:
    for beginning, meaning in meanings.items():
        if beginning in answer:
            return meaning
    raise AssertionError(f"an unexpected answer: {answer}")

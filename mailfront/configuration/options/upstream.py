"""Options of the multiplexor: which servers hold the mailboxes, and how they are spoken to."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Integer, RelativePath, Text
from mailfront.configuration.upstream_list import EMBEDDED, UpstreamList, UpstreamTemplate


def _upstream(service: str, title: str) -> tuple[Option, ...]:
    return (
        Option(
            f"service.{service}.upstream",
            UpstreamList((service,)),
            EMBEDDED,
            f"Where the sessions of {title} users go whose entry has no mailHost. {EMBEDDED} the "
            f"store on this machine. Else servers that are equals, such as {service}s://store1 or "
            f"{service}://10.0.0.5:1{'143' if service == 'imap' else '110'}, divided by commas: "
            "each session goes to the one with the fewest. Without TLS in the scheme, STARTTLS is "
            "used and must succeed, unless the server is on loopback or the URL ends in ?tls=none. "
            "?name=HOST says what the server's certificate must be for, ?proxy=v2 that it wants a "
            "PROXY header, ?token=oauthbearer (or xoauth2) that it is given the access tokens of "
            "users who log in with one. Users whom config/upstream_map names go where that says.",
        ),
        Option(
            f"service.{service}.mailhosturl",
            UpstreamTemplate((service,)),
            f"{service}://%h",
            f"How the server in a user's mailHost is reached for {title}; %h stands for the host. "
            "The rest is as in the option for the servers of all.",
        ),
    )


def _relaying(service: str, mail: str, demand: str, protocols: tuple[str, ...]) -> Option:
    return Option(
        f"service.{service}.upstream",
        UpstreamList(protocols),
        EMBEDDED,
        f"Where {mail} goes. {EMBEDDED} to the mailboxes on this machine. Else to SMTP servers "
        "that are equals, such as smtp://mta1 or smtps://mta1, divided by commas: they judge "
        "sender and recipients, what they reply is passed on, and nothing is kept here. They are "
        f"told the client by XCLIENT where they offer it; {demand}. TLS and parameters as in the "
        "option for IMAP.",
    )


OPTIONS = (
    *_upstream("imap", "IMAP"),
    *_upstream("pop", "POP3"),
    _relaying(
        "submit",
        "the mail that users submit",
        "the user's name too, so that they need no login of their own",
        ("smtp",),
    ),
    _relaying(
        "imta",
        "the mail from other servers",
        "one that takes neither XCLIENT with ADDR nor a PROXY header (?proxy=v2) is not used, for "
        "it might relay for strangers. lmtp://store1 hands mail to servers that only deliver, such "
        "as Dovecot: one recipient at a time",
        ("smtp", "lmtp"),
    ),
    Option(
        "service.upstream.timeout",
        Integer(1, 300, "seconds"),
        "10",
        "How many seconds a server that holds mailboxes has to answer a connection, and again to "
        "answer the login, before the next one is tried or the client is told to come back.",
    ),
    Option(
        "service.upstream.probeinterval",
        Integer(0, 3600, "seconds"),
        "10",
        "How often a server that holds mailboxes and is down is tried again without a user: a "
        "connection with TLS, its greeting and its capabilities. 0: only by users who log in.",
    ),
    Option(
        "service.upstream.spread",
        Integer(0, 60, "seconds"),
        "5",
        "When a server that holds mailboxes dies, over how many seconds its clients are told, so "
        "that they do not all come back at once. Up to 10 sessions that end together are told "
        "immediately. 0: all are.",
    ),
    Option(
        "local.service.proxy.sslnicknames",
        Text("nickname, or empty"),
        "",
        "Nickname of the certificate, in the internal token, that servers behind are presented "
        "which ask for one. A replaced certificate counts for new connections within two seconds; "
        "one that cannot be used leaves the former in use and is told by `mailfront status`.",
    ),
    Option(
        "local.service.proxy.admin",
        Text("name, or empty"),
        "",
        "The administrator of the servers that hold the mailboxes, as whom sessions are logged in "
        "there on behalf of users (SASL PLAIN with an authorization identity; a master user of "
        "Dovecot). Empty: the user's own password is given, so that logins without a password "
        "(certificates, tokens) are not possible.",
    ),
    Option(
        "local.service.proxy.adminpassfile",
        RelativePath(),
        "config/proxyadmin.password",
        "The file, readable by its owner only, whose first line is that administrator's password.",
    ),
)

"""Options that concern every service: addresses, names, limits, times."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Addresses, Choice, Domain, Integer, Networks, Text

EVENT_LOOPS = ("uvloop", "asyncio")

OPTIONS = (
    Option(
        "service.listenaddr",
        Addresses(),
        "",
        "Addresses on which all services listen, divided by commas; empty: every address of this "
        "machine. 127.0.0.1 keeps the services to this machine.",
    ),
    Option(
        "service.hostname",
        Domain(),
        "",
        "The name by which the server greets clients and other servers; empty: this machine's "
        "full name.",
    ),
    Option(
        "service.defaultdomain",
        Domain(),
        "",
        "The domain of users who log in without one: `alice` then means `alice@` and this "
        "domain. Empty: users must give their whole address.",
    ),
    Option(
        "service.connectionsperaddress",
        Integer(0, 1_000_000, "connections"),
        "100",
        "How many connections one address has at a time over all services; 0: as many as it "
        "likes. Raise it if many people come through one address.",
    ),
    Option(
        "service.maxconnections",
        Integer(1, 1_000_000, "connections"),
        "10000",
        "How many connections all services together have at a time.",
    ),
    Option(
        "service.proxynetworks",
        Networks(),
        "",
        "The load balancers before us: their addresses or networks, divided by commas. What they "
        "say of a client's address is believed, on the ports whose proxyprotocol is yes (such as "
        "service.imap.proxyprotocol); so name these machines and no others.",
    ),
    Option(
        "service.frontnetworks",
        Networks(),
        "",
        "Other front ends before us (mailfront, Dovecot's proxies): their addresses or networks, "
        "divided by commas. Who their client is, which they tell by IMAP's ID (x-originating-ip) "
        "and POP3's XCLIENT, counts for log, throttling and access rules; whoever may connect from "
        "there may claim any address.",
    ),
    Option(
        "service.handshaketimeout",
        Integer(1, 300, "seconds"),
        "10",
        "How many seconds a client has to complete a TLS handshake.",
    ),
    Option(
        "service.handshakesperminute",
        Integer(0, 1_000_000, "handshakes"),
        "1200",
        "How many full TLS handshakes one address (IPv6: one /64) has per minute over all "
        "services; 0: as many as it likes. So many may come at once; one more waits until its "
        "share of the minute has passed, and of more than 100 that wait the last are refused. "
        "Resumed handshakes (see local.imap.sessiontickets) do not count. Raise it if many people "
        "come through one address, such as that of a proxy.",
    ),
    Option(
        "service.maxhandshakes",
        Integer(0, 1_000_000, "handshakes"),
        "500",
        "How many TLS handshakes are under way at a time, from the client's first message to its "
        "last, over all services; further ones wait, each address in its turn. 0: no bound. A "
        "connection that has not sent its first message yet does not count.",
    ),
    Option(
        "service.maxhandshakesperaddress",
        Integer(0, 1_000_000, "handshakes"),
        "50",
        "How many of them one address (IPv6: one /64) has at a time. 0: no bound of its own.",
    ),
    Option(
        "service.logintimeout",
        Integer(5, 3600, "seconds"),
        "60",
        "How many seconds an IMAP or POP3 client has from connection to login.",
    ),
    Option(
        "service.holdwait",
        Integer(0, 300, "seconds"),
        "30",
        "How long the login of a user waits whose logins are held (`mailfront user hold`), once "
        "the password was right; then it is answered as temporarily unavailable.",
    ),
    Option(
        "service.badcommandlimit",
        Integer(1, 10_000, "commands"),
        "20",
        "After how many unknown or malformed commands a connection is closed.",
    ),
    Option(
        "service.draintimeout",
        Integer(0, 3600, "seconds"),
        "10",
        "How many seconds running commands have to finish when the server stops.",
    ),
    Option(
        "local.serveruid",
        Text(),
        "",
        "The user of this machine that the server becomes once its ports are bound; the server "
        "root must belong to that user. Empty: it stays the user who started it, with a warning "
        "if that is root.",
    ),
    Option(
        "service.workers",
        Integer(1, 64, "processes"),
        "1",
        "How many processes serve, sharing the ports; as many as the machine has processors is a "
        "good number for a busy one. With more than one a further process starts and watches "
        "them. Limits and budgets above are divided among them; webmail is served by the first.",
    ),
    Option(
        "service.eventloop",
        Choice(EVENT_LOOPS),
        "uvloop",
        "The event loop that drives the server: uvloop, the fast one, or Python's own asyncio.",
    ),
)

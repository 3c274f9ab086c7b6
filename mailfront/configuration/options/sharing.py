"""Options of sites with several front ends: the store that they share, and what is in it."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Choice, Integer, SecretFile
from mailfront.configuration.shared_store_url import SharedStoreUrl

SHARED = "shared"

_WHERE = Choice((SHARED,), may_be_empty=True)

OPTIONS = (
    Option(
        "local.sharedstore.url",
        SharedStoreUrl(),
        "",
        "The Redis or Valkey server that all front ends of this site share: redis://HOST:PORT, "
        "rediss:// with TLS (its certificate must come from a CA that the certificate database "
        "trusts for servers), redis://USER@HOST if it wants a login (USER is `default` where it "
        "knows only a password). Without TLS a server that is not on this machine is taken only if "
        "the URL ends in ?tls=none. While it is away each front end goes on by itself.",
    ),
    Option(
        "local.sharedstore.passfile",
        SecretFile(),
        "file:config/sharedstore.password",
        "The file, readable by its owner only, whose first line is the password of the user in "
        "local.sharedstore.url.",
    ),
    Option(
        "local.sharedstore.secretfile",
        SecretFile(),
        "file:config/site.secret",
        "The file, readable by its owner only, whose first line is the secret of the site, the "
        "same on all front ends, 32 characters at least (`openssl rand -hex 32`). What lies in "
        "the shared store is sealed or disguised with it: who reads the store learns neither keys "
        "nor names.",
    ),
    Option(
        "local.sharedstore.timeout",
        Integer(5, 5000, "milliseconds"),
        "50",
        "How long a login waits for the shared store before it is judged by what this front end "
        "knows itself.",
    ),
    Option(
        "local.ssl.ticketkeystore",
        _WHERE,
        "",
        "Where the keys of session tickets come from. Empty: each process has its own, and a "
        "session is resumed only there. shared: all front ends take them from the shared store, "
        "sealed, so that a session begun at one is resumed at any other with the same certificate, "
        "policy and local.ssl.ticketlifetime.",
    ),
    Option(
        "service.throttlestore",
        _WHERE,
        "",
        "Where failed logins are counted. Empty: in each process. shared: in the shared store "
        "too, so that guessers gain nothing by asking many front ends.",
    ),
)

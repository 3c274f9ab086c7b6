"""Options about certificates and TLS: which personality, which profile and what changes it, session
tickets."""

from __future__ import annotations

from mailfront.configuration.option import Effect, Option
from mailfront.configuration.option_types import Boolean, Choice, Integer, Names, Text

TLS_PROFILES = (
    "modern",
    "intermediate",
    "legacy",
    "modern-2026-11",
    "intermediate-2026-11",
    "legacy-2026-11",
)
TLS_MINIMA = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
TLS_MAXIMA = ("TLSv1.2", "TLSv1.3")
_CIPHER_LIST = Text("list of cipher suites, or empty")

SERVICES = {
    "imta": "SMTP and submission",
    "imap": "IMAP",
    "pop": "POP3",
    "http": "webmail (HTTPS)",
}
"""Services that present certificates, as options name them, and what people call them."""


def _nicknames(service: str, title: str) -> Option:
    return Option(
        f"local.{service}.sslnicknames",
        Names(),
        "",
        f"Nicknames of the certificates for {title}, divided by commas, each of a "
        "different key type (one RSA and one ECDSA, say). Empty: the service presents the "
        "certificates of encryption.rsa.nssslpersonalityssl. TOKEN:NICKNAME names one on a PKCS#11 "
        "token by the token's label, or by the module's name where it has one token. A nickname "
        "that is not in the certificate database keeps the former certificate in use and is "
        "reported in the log and by `mailfront status`.",
        Effect.LIVE,
    )


def _fallback(service: str, title: str) -> Option:
    return Option(
        f"local.{service}.fallbacknicknames",
        Names(),
        "",
        f"Nicknames of the certificates for {title} while a token that has its private key is "
        "gone. Certificates of its personality that need no token are presented first, without "
        "this option. Empty: STARTTLS is refused as temporarily unavailable and handshakes end "
        "with an alert until the token is back.",
        Effect.LIVE,
    )


def _profile(service: str, title: str) -> Option:
    return Option(
        f"local.{service}.tlsprofile",
        Choice(TLS_PROFILES, may_be_empty=True),
        "",
        f"TLS profile of {title}, where it must differ from the others. Empty: the one of "
        "encryption.tlsprofile. A service with a profile of its own starts afresh from it: "
        "encryption.nsssl3ciphers, encryption.tlsminversion and encryption.tlsmaxversion do not "
        f"count for it, only the local.{service} ones do.",
        Effect.LIVE,
    )


def _policy_of_service(service: str, title: str) -> tuple[Option, ...]:
    return (
        _profile(service, title),
        Option(
            f"local.{service}.nsssl3ciphers",
            _CIPHER_LIST,
            "",
            f"Cipher list of {title}, written as encryption.nsssl3ciphers and in its place.",
            Effect.LIVE,
        ),
        Option(
            f"local.{service}.tlsminversion",
            Choice(TLS_MINIMA, may_be_empty=True),
            "",
            f"Oldest TLS version of {title}, in place of encryption.tlsminversion.",
            Effect.LIVE,
        ),
        Option(
            f"local.{service}.tlsmaxversion",
            Choice(TLS_MAXIMA, may_be_empty=True),
            "",
            f"Newest TLS version of {title}, in place of encryption.tlsmaxversion.",
            Effect.LIVE,
        ),
    )


def _session_tickets(service: str, title: str) -> Option:
    default, reason = "yes", "Clients that connect often then save most of the handshake's cost."
    if service == "imta":
        default, reason = (
            "no",
            "Other mail servers seldom come back while a ticket is valid, so it is off here.",
        )
    return Option(
        f"local.{service}.sessiontickets",
        Boolean(),
        default,
        f"Whether clients of {title} get TLS session tickets, with which they resume a session "
        f"(RFC 8446 section 2.2). {reason}",
        Effect.LIVE,
    )


OPTIONS = (
    Option(
        "encryption.rsa.nssslpersonalityssl",
        Names(),
        "Server-Cert",
        "Nicknames of the certificates that every service presents unless its own "
        "local.SERVICE.sslnicknames says otherwise; divided by commas, each of a different key "
        "type. In spite of the name, which is the original's, ECDSA certificates are welcome. "
        "`msgcert list-certs` shows the nicknames there are.",
        Effect.LIVE,
    ),
    Option(
        "encryption.rsa.nsssltoken",
        Text("name of a token"),
        "internal",
        "The token that holds the certificates of encryption.rsa.nssslpersonalityssl whose "
        "nicknames name none: `internal`, or the label of a PKCS#11 token.",
        Effect.LIVE,
    ),
    Option(
        "encryption.tlsprofile",
        Choice(TLS_PROFILES),
        "intermediate",
        "Which TLS versions, cipher suites, groups and signature algorithms are accepted, after "
        "RFC 9325 and Mozilla's guidelines. modern: TLS 1.3 alone. intermediate: TLS 1.2 and 1.3 "
        "with forward secrecy and authenticated encryption, right for nearly everybody. legacy: "
        "TLS 1.2 and 1.3, also with suites that lack one or both, for old clients that cannot be "
        "replaced. A name without a date is today's profile of that name; with its date it stays "
        "the same in later versions. `mailfront ciphers` shows what it comes to.",
        Effect.LIVE,
    ),
    Option(
        "encryption.nsssl3ciphers",
        _CIPHER_LIST,
        "",
        "Cipher suites in place of the profile's, divided by commas: rsa_3des_sha (the original's "
        "names), TLS_RSA_WITH_AES_128_CBC_SHA (IANA) or AES128-SHA (OpenSSL). `+` before a name "
        "adds, `-` removes, `all` is everything the profile permits. A list that begins with `-` "
        "starts from the profile's suites, any other from nothing. The suites of TLS 1.3 stay as "
        "they are unless the list names one. What must not be used is refused with the reason (in "
        "the log and by `mailfront ciphers`), whatever the list says. Empty: the profile's suites; "
        "the original's default is refused as a whole today.",
        Effect.LIVE,
    ),
    Option(
        "encryption.tlsminversion",
        Choice(TLS_MINIMA, may_be_empty=True),
        "",
        "Oldest TLS version, where it must differ from the profile's. Below TLSv1.2 only the "
        "profile legacy may go: that puts every client at risk (RFC 8996), and is warned of in the "
        "log, by `mailfront check` and on the status page. Better set it for one service only "
        "(local.SERVICE.tlsminversion). Empty: the profile's.",
        Effect.LIVE,
    ),
    Option(
        "encryption.tlsmaxversion",
        Choice(TLS_MAXIMA, may_be_empty=True),
        "",
        "Newest TLS version. Only for finding out whether a client fails over TLS 1.3. Empty: the "
        "newest there is.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.autorenewselfsigned",
        Boolean(),
        "no",
        "Whether the server itself renews self-signed certificates that a service presents, with "
        "the same key, once they have lived two thirds of their life. Clients that pinned the "
        "certificate rather than its key must be told of each renewal.",
        Effect.LIVE,
    ),
    Option(
        "local.service.ssl.sni",
        Boolean(),
        "yes",
        "Whether a client that asks for a host name (SNI, RFC 6066 section 3) for which the "
        "service's own certificates are not, but another one in the certificate database is, gets "
        "that one. Only certificates with a private key count, those made for clients alone do "
        "not, and a wildcard stands for one label. Any other client gets the service's own. With "
        "`no` they all do, as in the original: for databases that hold certificates which must "
        "not be shown.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.invalidclientcert",
        Choice(("password", "alert")),
        "password",
        "What becomes of a client whose certificate is asked for (clientauth = request) and "
        "identifies nobody: it is of an unknown CA, has expired, is revoked or not made for "
        "clients. password: it goes on as if it had none, for clients present certificates "
        "that mean nothing to us (other mail servers do). alert: the handshake ends with the alert "
        "that says why.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.crlexpired",
        Choice(("hard", "soft")),
        "hard",
        "What becomes of clients whose CA has a revocation list (`msgcert add-crl`) that is past "
        "its next update. hard: their certificates identify nobody until a new list is added, as "
        "in other servers, for who is revoked cannot be told. soft: only those on the old list do "
        "not; a CA whose new list does not arrive then lets in whom it has revoked since.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.clientocsp",
        Choice(("off", "soft", "hard")),
        "off",
        "Whether the OCSP responder that a client's certificate names is asked, when the client "
        "logs in by it, whether it is revoked. A revoked certificate logs nobody in. Where no "
        "responder answers, soft takes it all the same, hard does not. Answers are kept for as "
        "long as they say, an hour at most. Revocation lists (`msgcert add-crl`) count in any "
        "case.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.clientocsptimeout",
        Integer(1, 30, "seconds"),
        "3",
        "How long that login waits for a responder.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.ticketlifetime",
        Integer(1, 168, "hours"),
        "12",
        "How long one key seals session tickets. It opens them for as long again, then it is "
        "forgotten, and with it the chance to open what was recorded. A ticket itself is good for "
        "two hours. With TLS 1.2 it is these keys, not the certificate's, that a recorded session "
        "with tickets depends on.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.ocspstapling",
        Boolean(),
        "yes",
        "Whether clients that ask are given the issuer's word that the certificate is not revoked "
        "(OCSP stapling, RFC 6066 section 8). The server fetches it from the responder that the "
        "certificate names, over HTTP, in the background. Certificates that name none, such as "
        "those of Let's Encrypt, cost nothing. With `no`, responders are never asked.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.ocsptimeout",
        Integer(1, 120, "seconds"),
        "10",
        "How long an OCSP responder may take to answer. No client ever waits for it; after a "
        "failure it is asked again, at first after seconds, later once an hour.",
        Effect.LIVE,
    ),
    *(_nicknames(service, title) for service, title in SERVICES.items()),
    *(_fallback(service, title) for service, title in SERVICES.items()),
    *(option for each in SERVICES.items() for option in _policy_of_service(*each)),
    *(_session_tickets(service, title) for service, title in SERVICES.items()),
)

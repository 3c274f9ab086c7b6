"""Why TLS failed: OpenSSL's reason, or the first octets of a peer that speaks something else, as a
few words for the log and the counters. None of the peer's octets are in them.
"""

from __future__ import annotations

import re
import ssl

# OpenSSL's symbolic reasons (ssl.SSLError.reason) grouped into what an operator acts upon.
_REASONS = {
    "NO_SHARED_CIPHER": "no shared cipher",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no shared signature algorithm",
    "NO_SHARED_SIGNATURE_ALGORITHMS": "no shared signature algorithm",
    "NO_SHARED_GROUPS": "no shared group",
    "NO_SUITABLE_KEY_SHARE": "no shared group",
    "NO_SUITABLE_GROUPS": "no shared group",
    "UNSUPPORTED_PROTOCOL": "protocol version",
    "WRONG_SSL_VERSION": "protocol version",
    "WRONG_VERSION_NUMBER": "not TLS",
    "VERSION_TOO_LOW": "protocol version",
    "INAPPROPRIATE_FALLBACK": "protocol version",
    "TLSV1_ALERT_PROTOCOL_VERSION": "protocol version",
    "TLSV1_ALERT_INAPPROPRIATE_FALLBACK": "protocol version",
    "HTTP_REQUEST": "not TLS: plain HTTP",
    "HTTPS_PROXY_REQUEST": "not TLS: plain HTTP",
    "UNKNOWN_PROTOCOL": "not TLS",
    "NO_APPLICATION_PROTOCOL": "no application protocol",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "no application protocol",
    "CERTIFICATE_VERIFY_FAILED": "client's certificate refused",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "client has no certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "client does not trust our certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "client wants another certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "client refused our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "client refused our certificate",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "client refused our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "client refused our certificate",
    "TLSV1_ALERT_ACCESS_DENIED": "client refused our certificate",
    "TLSV1_ALERT_DECRYPT_ERROR": "client could not verify our signature",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "client says our certificate expired",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "client gave up",
    "TLSV1_ALERT_USER_CANCELLED": "client gave up",
    "PACKET_LENGTH_TOO_LONG": "record too long",
    "DATA_LENGTH_TOO_LONG": "record too long",
    "ENCRYPTED_LENGTH_TOO_LONG": "record too long",
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": "damaged record",
    # What OpenSSL 3.2 and newer say of the same.
    "RECORD_LAYER_FAILURE": "damaged record",
    "SSLV3_ALERT_BAD_RECORD_MAC": "client says a record is damaged",
    "LENGTH_MISMATCH": "malformed message",
    "LENGTH_TOO_SHORT": "malformed message",
    "BAD_EXTENSION": "malformed message",
    "BAD_PACKET": "malformed message",
    "EXCESSIVE_MESSAGE_SIZE": "message too long",
    "UNEXPECTED_MESSAGE": "unexpected message",
    "TOKEN_DID_NOT_SIGN": "the token did not sign",
    "UNEXPECTED_EOF_WHILE_READING": "peer closed the connection",
}

# Results of verifying a client's certificate (tls.client_authentication.RESULTS): each is counted
# by itself.
_REFUSED = {
    9: "client's certificate is not valid yet",
    10: "client's certificate has expired",
    20: "client's certificate is of an unknown CA",
    23: "client's certificate is revoked",
    26: "client's certificate is not for TLS clients",
    28: "client's certificate is malformed",
    75: "client's certificate: unknown whether it is revoked",
}

TIME_OUT = "time-out"
PEER_CLOSED = "peer closed the connection"
CONNECTION_RESET = "connection reset"
NO_CERTIFICATE = "no certificate at the moment"
FOREIGN_PROTOCOL = "foreign application protocol"
TOO_MANY_HANDSHAKES = "too many handshakes"
NOT_TLS = "not TLS"
PLAIN_HTTP = "not TLS: plain HTTP"
PLAIN_MAIL = "not TLS: a mail command in clear"

# Content types of TLS, and what an SSL 2.0 ClientHello begins with.
_RECORD_TYPES = range(20, 25)
_SSL2_HELLO = 0x80
_HTTP = re.compile(rb"(GET|POST|PUT|HEAD|OPTIONS|CONNECT|DELETE|PATCH|TRACE) |PRI \* HTTP", re.I)
_MAIL = re.compile(
    rb"(EHLO|HELO|LHLO|QUIT|NOOP|RSET|STARTTLS|STLS|CAPA|AUTH|USER|PASS)\b"
    rb"|[!#$&'+,./:-@\[\]^_`|}~0-9A-Z]{1,32} "
    rb"(CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|LOGOUT|NOOP|ID)\b",
    re.I,
)


def failure_reason(failure: ssl.SSLError) -> str:
    """A short text without any bytes the peer sent."""
    if isinstance(failure, ssl.SSLCertVerificationError) and failure.verify_code in _REFUSED:
        return _REFUSED[failure.verify_code]
    name = failure.reason or "unknown"
    return _REASONS.get(name, name.lower().replace("_", " "))


def is_record(first_octet: int) -> bool:
    """Whether a connection that begins so may be TLS."""
    return first_octet in _RECORD_TYPES or bool(first_octet & _SSL2_HELLO)


def clear_text_reason(received: bytes) -> str:
    """What a client speaks whose first octets are no TLS."""
    if _HTTP.match(received):
        return PLAIN_HTTP
    return PLAIN_MAIL if _MAIL.match(received) else NOT_TLS


# Reason: what an operator can do about it.
_ADVICE = {
    PLAIN_HTTP: "a browser or probe that was told http:// and means https://, or another port",
    PLAIN_MAIL: "a mail client set to STARTTLS or to no encryption: it needs the port that begins "
    "in clear, or `SSL/TLS` in its settings",
    "protocol version": "a client too old for the profile",
    "no shared cipher": "a client too old for the profile, or without the key type of our "
    "certificate",
    "client does not trust our certificate": "our certificate is self-signed, its CA is unknown to "
    "the client, or the chain is incomplete",
    "client says our certificate expired": "see the dates in `mailfront status`",
    "client has no certificate": "clientauth of this service is `require`",
    _REFUSED[9]: "see this machine's clock and the client's",
    _REFUSED[10]: "its holder needs a new one",
    _REFUSED[20]: "none of the CAs with trust flag T (`msgcert list-certs`) issued it, or the "
    "client does not send its intermediate",
    _REFUSED[23]: "the revocation list of its CA has it (`msgcert list-crls`)",
    _REFUSED[26]: "its extended key usage lacks clientAuth",
    _REFUSED[28]: "it, or its chain, breaks a rule; `certfault` on its line says which",
    _REFUSED[75]: "the revocation list of its CA is out of date: `msgcert add-crl` a new one",
    FOREIGN_PROTOCOL: "a client of another protocol, or an attempt to mix protocols (ALPACA)",
    TOO_MANY_HANDSHAKES: "see service.handshakesperminute if many people come through one address",
}


def advice(reason: str) -> str:
    """What stands behind `reason` for an operator; empty where the reason says it all."""
    return _ADVICE.get(reason, "")

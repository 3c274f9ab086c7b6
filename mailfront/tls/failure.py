"""Why a handshake failed: OpenSSL's reason as one of a few words for the log and the counters."""

from __future__ import annotations

import ssl

# OpenSSL's symbolic reasons (ssl.SSLError.reason) grouped into what an operator acts upon.
_REASONS = {
    "NO_SHARED_CIPHER": "no shared cipher",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no shared signature algorithm",
    "NO_SHARED_GROUPS": "no shared group",
    "NO_SUITABLE_KEY_SHARE": "no shared group",
    "UNSUPPORTED_PROTOCOL": "protocol version",
    "WRONG_VERSION_NUMBER": "not TLS",
    "VERSION_TOO_LOW": "protocol version",
    "TLSV1_ALERT_PROTOCOL_VERSION": "protocol version",
    "HTTP_REQUEST": "not TLS: plain HTTP",
    "HTTPS_PROXY_REQUEST": "not TLS: plain HTTP",
    "UNKNOWN_PROTOCOL": "not TLS",
    "NO_APPLICATION_PROTOCOL": "no application protocol",
    "TLSV1_ALERT_UNKNOWN_CA": "client does not trust our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "client refused our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "client refused our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "client says our certificate expired",
}


def failure_reason(failure: ssl.SSLError) -> str:
    """A short text without any bytes the peer sent."""
    name = failure.reason or "unknown"
    return _REASONS.get(name, name.lower().replace("_", " "))

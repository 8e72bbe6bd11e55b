"""What is wrong with a server's TLS, in plain words. Refuses to pass on what the server wrote."""

import ssl
from types import MappingProxyType

TRUST_IT = "To trust it, put the authority's certificate where SSL_CERT_DIR points, for livekit-sip and for trunkline."
UNKNOWN_AUTHORITY = f"The TLS certificate comes from an unknown authority. {TRUST_IT}"
WRONG_NAME = "The TLS certificate is for another name than {host}."
DISTRUSTED = MappingProxyType({  # OpenSSL's X509_V_ERR_* (x509_vfy.h)
    9: "The TLS certificate is not valid yet, or the clock here is wrong.",
    10: "The TLS certificate has expired.",
    18: f"The TLS certificate is self-signed. {TRUST_IT}",
    19: UNKNOWN_AUTHORITY,
    20: UNKNOWN_AUTHORITY,
    21: UNKNOWN_AUTHORITY,
    62: WRONG_NAME,
    64: WRONG_NAME,
})  # fmt: skip
TOO_OLD = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})


def why_tls_failed(error: ssl.SSLError, host: str) -> str:
    """Say why the handshake with this host failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return DISTRUSTED.get(error.verify_code, "The TLS certificate is not trusted.").format(host=host)
    if error.reason in TOO_OLD:
        return "The server speaks only TLS versions before 1.2."
    if "ALERT" in (error.reason or ""):
        return (
            "The server refused the TLS handshake: it may want a client certificate, which LiveKit does not send, or "
            "other TLS settings."
        )
    return "What answers there does not speak TLS. Is this the port for TLS?"

"""The TLS of a `wss:` connection: the context by default, and what its failures are called.

The defaults are strict: TLS 1.2 at least, the certificate and the host name always checked, certifi's roots. ALPN
offers `http/1.1` alone, since a WebSocket over HTTP/2 is another protocol (RFC 8441). Renegotiation, which TLS 1.2
still has, is refused: with it a write may have to wait for a read.
"""

from __future__ import annotations

import ssl
from typing import Dict, Optional

import certifi

from ..errors import CertificateError, TLSError

__all__ = ["make_context", "translate_tls_error"]


def make_context(
    *,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: Optional[ssl.TLSVersion] = None,
    cafile: Optional[str] = None,
) -> ssl.SSLContext:
    """A client's context: versions from `minimum` to `maximum` (`None`: the newest), trust in the roots of `cafile`.

    Without `cafile` certifi's roots are trusted. Secrets go to the file named by the environment's SSLKEYLOGFILE, if
    any, as with `ssl.create_default_context`. ValueError if `maximum` is below `minimum`; OSError (FileNotFoundError,
    ssl.SSLError) if `cafile` is no readable file of certificates.
    """
    if maximum is not None and maximum != ssl.TLSVersion.MAXIMUM_SUPPORTED and maximum < minimum:
        raise ValueError(f"the maximum version {maximum.name} is below the minimum {minimum.name}")
    context = ssl.create_default_context(cafile=cafile or certifi.where())
    context.minimum_version = minimum
    if maximum is not None:
        context.maximum_version = maximum
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Python 3.9 alone sets it; with it, a stream that was cut cannot be told from one that ended.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


_BAD_DATE, _UNKNOWN_ROOT, _NOT_YET_VALID = -1201, -1203, -1204

_VERIFY_CODES: Dict[int, int] = {
    # The X509_V_ERR_ numbers of OpenSSL's x509_vfy.h; all others are -1202, not trusted.
    2: _UNKNOWN_ROOT,  # unable to get issuer certificate
    9: _NOT_YET_VALID,
    10: _BAD_DATE,  # has expired
    13: _BAD_DATE,  # error in the notBefore field
    14: _BAD_DATE,  # error in the notAfter field
    18: _UNKNOWN_ROOT,  # self-signed
    19: _UNKNOWN_ROOT,  # self-signed certificate in the chain
    20: _UNKNOWN_ROOT,  # unable to get local issuer certificate
    21: _UNKNOWN_ROOT,  # unable to verify the first certificate
}

_CLIENT_REJECTED, _CLIENT_REQUIRED = -1205, -1206

_ALERTS: Dict[str, int] = {
    # Alerts of the server (RFC 8446 section 6.2) about the certificate that we showed, or did not show.
    "SSLV3_ALERT_BAD_CERTIFICATE": _CLIENT_REJECTED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _CLIENT_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _CLIENT_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _CLIENT_REJECTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _CLIENT_REJECTED,
    "TLSV1_ALERT_UNKNOWN_CA": _CLIENT_REJECTED,
    "TLSV1_ALERT_ACCESS_DENIED": _CLIENT_REJECTED,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _CLIENT_REQUIRED,
}


def translate_tls_error(exc: BaseException, url: Optional[str] = None) -> TLSError:
    """The error for a TLS handshake that `exc` ended; the caller raises it `from exc`.

    A `CertificateError` when the server's certificate was not accepted, with the number that says why (-1201 to -1204);
    else a `TLSError`, -1205 or -1206 when the server did not like ours, -1200 for the rest. In TLS 1.3 the server
    judges our certificate after the handshake: then `exc` is the cause of the `ConnectionClosed` of a first `recv`.
    """
    if isinstance(exc, ssl.SSLCertVerificationError):
        code = _VERIFY_CODES.get(getattr(exc, "verify_code", 0), CertificateError.default_url_error_code)
        reason = getattr(exc, "verify_message", "") or exc
        return CertificateError(f"the server's certificate was not accepted: {reason}", url=url, url_error_code=code)
    alert = getattr(exc, "reason", None)
    return TLSError(f"the TLS handshake failed: {exc}", url=url, url_error_code=_ALERTS.get(str(alert)))

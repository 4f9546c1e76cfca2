"""The TLS of a `wss:` connection: the contexts, and what failures are called.

The defaults are strict: TLS 1.2 at least, the certificate and the host name always checked, certifi's roots, and names
looked for where they belong, in subjectAltName (RFC 9525 section 2): the common name, which once served for them, is
free text. ALPN offers `http/1.1` alone, since a WebSocket over HTTP/2 is another protocol (RFC 8441). Renegotiation,
which TLS 1.2 still has, is refused: with it a write may have to wait for a read.
"""

from __future__ import annotations

import importlib
import os
import ssl
import sys

import certifi

from ..errors import CertificateError, TLSError, WebSocketError
from ..hints import Dict, Optional, Tuple, Union

__all__ = [
    "Identity",
    "check_context",
    "client_refusal",
    "load_identity",
    "make_context",
    "make_unverified_context",
    "translate_tls_error",
]

ALPN = "http/1.1"
"""The one protocol that is offered, and the only one that may be chosen (RFC 7301)."""

Identity = Tuple[str, Optional[str], Union[str, bytes, None]]
"""A client certificate: the file of its chain, the file of its key (`None`: the same), the key's password or `None`."""


def make_context(
    *,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: Optional[ssl.TLSVersion] = None,
    cafile: Optional[str] = None,
    truststore: bool = False,
    identity: Optional[Identity] = None,
) -> ssl.SSLContext:
    """A client's context: versions from `minimum` to `maximum` (`None`: the newest), trust in the roots of `cafile`.

    Without `cafile` certifi's roots are trusted; with `truststore` the operating system judges, through the package of
    that name. `identity` is shown to servers that ask for a certificate. Secrets go to the file named by the
    environment's SSLKEYLOGFILE, if any, as with `ssl.create_default_context`.

    ValueError if `maximum` is below `minimum`, or for both `cafile` and `truststore`; OSError (FileNotFoundError,
    ssl.SSLError) if `cafile` is no readable file of certificates; RuntimeError without the package; TLSError as with
    `load_identity`.
    """
    _check_range(minimum, maximum)
    if not truststore:
        context = ssl.create_default_context(cafile=cafile or certifi.where())
    elif cafile is None:
        context = _system_context()
        _log_keys(context)
    else:
        raise ValueError("either the roots of a file or the system's, not both")
    _limit(context, minimum, maximum)
    if identity is not None:
        load_identity(context, identity)
    return context


def make_unverified_context(
    *,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    maximum: Optional[ssl.TLSVersion] = None,
    identity: Optional[Identity] = None,
) -> ssl.SSLContext:
    """The same but for one thing: every certificate passes the handshake, so that somebody can look at it.

    For `wssync.transport.trust` alone, which lets nothing go out over such a connection before the certificate was
    accepted by other means.
    """
    _check_range(minimum, maximum)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _log_keys(context)
    _limit(context, minimum, maximum)
    if identity is not None:
        load_identity(context, identity)
    return context


def _check_range(minimum: ssl.TLSVersion, maximum: Optional[ssl.TLSVersion]) -> None:
    if maximum is not None and maximum != ssl.TLSVersion.MAXIMUM_SUPPORTED and maximum < minimum:
        raise ValueError(f"the maximum version {maximum.name} is below the minimum {minimum.name}")


def _system_context() -> ssl.SSLContext:
    try:
        truststore = importlib.import_module("truststore")
    except ImportError as error:
        raise RuntimeError(
            "certificates are judged by the operating system through the package truststore (Python 3.10 and later)"
        ) from error
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def _log_keys(context: ssl.SSLContext) -> None:
    """What `ssl.create_default_context` does, by the same conditions."""
    path = os.environ.get("SSLKEYLOGFILE")
    if path and not sys.flags.ignore_environment:
        context.keylog_filename = path


def _limit(context: ssl.SSLContext, minimum: ssl.TLSVersion, maximum: Optional[ssl.TLSVersion]) -> None:
    context.minimum_version = minimum
    if maximum is not None:
        context.maximum_version = maximum
    context.set_alpn_protocols([ALPN])
    context.hostname_checks_common_name = False
    context.options |= ssl.OP_NO_RENEGOTIATION
    # Python 3.9 alone sets it; with it, a stream that was cut cannot be told from one that ended.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


def load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Let `context` show a client certificate. It reads the files now; they may be gone later.

    TLSError if they are missing or unreadable, do not belong together, or if the password is wrong or missing; it names
    the file, and never the password. Nobody is asked for a password at a terminal, as OpenSSL would do by itself.
    """
    certificate_file, key_file, password = identity

    def answer() -> Union[str, bytes]:
        if password is None:
            raise ValueError("the key is encrypted and no password was given")
        return password

    try:
        context.load_cert_chain(certificate_file, key_file, answer)
    except (OSError, ValueError, TypeError) as error:
        place = f"{certificate_file!r}" + (f" with the key {key_file!r}" if key_file else "")
        raise TLSError(f"the client certificate {place} cannot be used: {error}") from error


def check_context(context: ssl.SSLContext) -> None:
    """Refuse, with ValueError, a user's own context that leaves a check out by accident.

    A bare `ssl.SSLContext()` checks neither certificate nor name, and one for servers is for no client at all. Whoever
    wants no checks says so, in a context that has them: `ssl.create_default_context()`, then `check_hostname = False`
    and `verify_mode = ssl.CERT_NONE`. Python 3.9 makes those two kinds of context with the same marks, so there a bare
    one is only refused when it is for servers.
    """
    if context.protocol == ssl.PROTOCOL_TLS_SERVER:
        raise ValueError("ssl_context is a context for servers; ssl.create_default_context() makes one for clients")
    bare = context.protocol != ssl.PROTOCOL_TLS_CLIENT and sys.version_info >= (3, 10)
    if bare and not context.check_hostname:
        raise ValueError(
            "ssl_context does not check the host name, which is how ssl.SSLContext() comes; start from "
            "ssl.create_default_context(), and switch check_hostname off in that if it is meant"
        )


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


def client_refusal(error: WebSocketError, url: Optional[str] = None) -> Optional[TLSError]:
    """The `TLSError` (-1205, -1206) behind an `error` of the first reads, or `None` if it has another reason.

    In TLS 1.3 the client has finished its handshake when the server judges the client's certificate. The refusal is an
    alert that comes in the place of an answer to the request, so the connection seems to break.
    """
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError) and str(cause.reason) in _ALERTS:
        return translate_tls_error(cause, url)
    return None

"""Handshakes that a user has a say in: pins, client certificates, and certificates that a delegate accepts.

The `ssl` module verifies a certificate in the handshake or not at all. After a handshake without verification the
verdict cannot be had any more (OpenSSL keeps it, Python does not show it), and after a failed one there is no
certificate to look at. So where a delegate wants to decide about a bad certificate, there are two connections:

1. `secure` verifies. What it accepts needs no second connection, whether there is a delegate or not.
2. Only if it refused (`may_look`), and only because somebody asked to decide, `look` shakes hands once more on a new
   connection and without verification. It is the caller's duty to send nothing on it before the answer. The delegate
   sees the certificate of this very connection, so it does not matter whether the first one showed the same.
3. A later connection to that server goes by `accept`: it passes with exactly the certificate that was accepted, byte by
   byte, and with no other, however good or bad. TLS has proved by then that the server has the key for it.

What has to hold on top of any verdict is looked at when the handshake is computed, and before its last part leaves:
the bounds of the version, ALPN and the pins. So a server that fails them never sees the end of the handshake, and
over TLS 1.3 not our certificate either.

With an `ssl.SSLContext` of the user's own, that judges alone: what it has refused no delegate can accept, and it is not
changed. A version outside of the bounds is then refused after the fact, not left out of the offer.
"""

from __future__ import annotations

import functools
import ssl

from ..auth import ServerTrust
from ..errors import CertificateError, ConnectionClosed, TimedOut, TLSError, WebSocketError
from ..frozen import Frozen
from ..hints import TYPE_CHECKING, Any, Callable, Iterable, Optional, Tuple
from ..protocol.certificates import pin_of
from .tls import ALPN, Identity, check_context, make_context, make_unverified_context, translate_tls_error
from .tls_stream import TLSStream

if TYPE_CHECKING:
    from .stream import Stream
    from .waiting import Attempt

__all__ = ["Handshakes", "TLSTerms", "same_certificate", "shake_hands", "trust_of"]

Trace = Callable[..., None]
"""Called as `trace(event, **fields)`, on the thread that opens: `tls_start` (server_hostname), then `tls_end` (version,
cipher: its name, alpn) or `tls_failed` (error). It must not raise.
"""

_VERSIONS = {
    "SSLv3": ssl.TLSVersion.SSLv3,
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
_NEWEST = ssl.TLSVersion.TLSv1_3


class TLSTerms(Frozen):
    """What a session's configuration says about TLS, and the contexts that follow from it. Any thread.

    minimum, maximum: `tls_minimum_` and `tls_maximum_supported_protocol_version`.
    pins: `certificate_pins`, as `check_pins` returns them; one of them must be in what the server shows.
    ssl_context: the user's own, or `None`. ValueError if it leaves checks out by accident (`check_context`).
    truststore: whether the operating system judges in the place of certifi's roots.
    cafile: a file with other roots.

    The contexts are made when they are first asked for, which takes milliseconds, and kept.
    """

    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: Optional[ssl.TLSVersion] = None
    pins: Tuple[str, ...] = ()
    ssl_context: Optional[ssl.SSLContext] = None
    truststore: bool = False
    cafile: Optional[str] = None

    def _check(self) -> None:
        if self.ssl_context is not None:
            check_context(self.ssl_context)

    def verifying(self, identity: Optional[Identity] = None) -> ssl.SSLContext:
        """The context that judges certificates; for another `identity` than none it is made anew each time.

        TLSError if it cannot be made (or the identity not be loaded), or for an identity beside `ssl_context`, which
        has its own.
        """
        if self.ssl_context is None:
            return self._plain if identity is None else self._make(identity)
        if identity is not None:
            raise TLSError("a client certificate goes into the ssl_context itself (load_cert_chain) where there is one")
        return self.ssl_context

    @functools.cached_property
    def _plain(self) -> ssl.SSLContext:
        return self._make(None)

    def _make(self, identity: Optional[Identity]) -> ssl.SSLContext:
        return _made(
            lambda: make_context(
                minimum=self.minimum,
                maximum=self.maximum,
                cafile=self.cafile,
                truststore=self.truststore,
                identity=identity,
            )
        )

    def unverified(self, identity: Optional[Identity] = None) -> ssl.SSLContext:
        """The context for a look at any certificate; TLSError as with `verifying`, or beside an `ssl_context`."""
        if self.ssl_context is not None:
            raise TLSError("what the ssl_context has refused, nobody else can accept: it judges alone")
        return _made(lambda: make_unverified_context(minimum=self.minimum, maximum=self.maximum, identity=identity))

    def check_version(self, version: Optional[str]) -> None:
        """TLSError unless the version that was agreed on is within the bounds. One that is not known is not."""
        found = _VERSIONS.get(version or "")
        least = _NEWEST if self.minimum == ssl.TLSVersion.MAXIMUM_SUPPORTED else self.minimum
        most = _NEWEST if self.maximum in (None, ssl.TLSVersion.MAXIMUM_SUPPORTED) else self.maximum
        if found is None or found < least or found > most:
            raise TLSError(f"the server chose {version}, which is outside of the versions that are allowed")

    def check_pins(self, certificates: Iterable[bytes]) -> None:
        """CertificateError if there are pins and none of these certificates (DER) has one of them."""
        if self.pins and not any(pin_of(certificate) in self.pins for certificate in certificates):
            raise CertificateError("no key of the server's certificates is among the pins (certificate_pins)")


def _made(make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    try:
        return make()
    except (OSError, ValueError, RuntimeError) as error:
        raise TLSError(f"TLS cannot be prepared: {error}") from error


class Handshakes:
    """The handshakes of one task by the `terms` of its session.

    `identity` is the client certificate to show, if any. `url`, without secrets, goes into the errors. Its methods are
    called on the thread that opens, and each makes a `TLSStream` of a connected stream, which must have no bytes
    pending. If they raise, that stream is closed: TLSError, CertificateError, TimedOut, and whatever the attempt's
    `check` raises.
    """

    def __init__(
        self,
        terms: TLSTerms,
        *,
        identity: Optional[Identity] = None,
        url: Optional[str] = None,
        trace: Optional[Trace] = None,
    ) -> None:
        self.terms = terms
        self.identity = identity
        self._url = url
        self._trace = trace

    def for_proxy(self) -> Handshakes:
        """The same for TLS to a proxy: the pins and the identity are for the server behind it alone. What an
        `ssl_context` has loaded, it shows to a proxy that asks for it: Python cannot take that out of it.
        """
        terms = self.terms
        return Handshakes(
            TLSTerms(terms.minimum, terms.maximum, (), terms.ssl_context, terms.truststore, terms.cafile),
            url=self._url,
            trace=self._trace,
        )

    def secure(self, stream: Stream, attempt: Attempt, server_hostname: str) -> TLSStream:
        """Verify: the certificate must be good, and for this name or address; then the pins count besides.

        This is the only kind of handshake unless a delegate decides.
        """
        return self._run(
            stream, attempt, server_hostname, lambda: self.terms.verifying(self.identity), lambda tls: None
        )

    def may_look(self, error: CertificateError) -> bool:
        """Whether a delegate that wants to can be asked about what `secure` has refused with this error.

        Not when the user's own `ssl_context` has judged, nor when the pins do not fit: they bind a delegate too.
        """
        return self.terms.ssl_context is None and isinstance(error.__cause__, ssl.SSLCertVerificationError)

    def look(self, stream: Stream, attempt: Attempt, server_hostname: str) -> TLSStream:
        """Shake hands with whoever is there, for a delegate that is asked next. Nothing may be sent until it accepts.

        Our own certificate is not shown. So if there is one (`identity`), an accepted server is connected to again, by
        `accept`. Pins must fit the server's own key, as nothing vouches for the rest of its chain.
        """
        return self._run(stream, attempt, server_hostname, self.terms.unverified, lambda tls: None)

    def accept(self, stream: Stream, attempt: Attempt, trust: ServerTrust) -> TLSStream:
        """Shake hands with the server of `trust`, which a delegate has accepted: with its very certificate only.

        CertificateError (-1202) if the server shows another one. Over TLS 1.3 our certificate, if any, has not been
        shown by then; over TLS 1.2 it has, where everybody on the way can read it at any time.
        """

        def check(tls: TLSStream) -> None:
            if not same_certificate(trust, trust_of(tls, trust.host, trust.port)):
                raise CertificateError("the server shows another certificate than the one that was accepted")

        return self._run(stream, attempt, trust.host, lambda: self.terms.unverified(self.identity), check)

    def _run(
        self,
        stream: Stream,
        attempt: Attempt,
        server_hostname: str,
        context: Callable[[], ssl.SSLContext],
        check: Callable[[TLSStream], None],
    ) -> TLSStream:
        def judge(tls: TLSStream) -> None:
            check(tls)
            self._judge(tls.ssl_object)

        self._tell("tls_start", server_hostname=server_hostname)
        try:
            tls = shake_hands(stream, attempt, context, server_hostname, judge)
        except BaseException as error:
            if isinstance(error, (TLSError, TimedOut)):
                error.url = error.url or self._url
            self._tell("tls_failed", error=error)
            raise
        found = tls.ssl_object
        cipher = found.cipher()
        self._tell(
            "tls_end",
            version=found.version(),
            cipher=cipher and cipher[0],
            alpn=found.selected_alpn_protocol(),
        )
        return tls

    def _judge(self, found: ssl.SSLObject) -> None:
        self.terms.check_version(found.version())
        if found.selected_alpn_protocol() not in (None, ALPN):
            # Only a context of the user's own offers anything else (rule 102).
            raise TLSError(
                f"the server chose {found.selected_alpn_protocol()!r} by ALPN, in which no WebSocket is opened"
            )
        self.terms.check_pins(_verified_chain(found) or _leaf(found))

    def _tell(self, event: str, **fields: Any) -> None:
        if self._trace is not None:
            self._trace(event, **fields)


def shake_hands(
    stream: Stream,
    attempt: Attempt,
    context: Callable[[], ssl.SSLContext],
    server_hostname: str,
    judge: Optional[Callable[[TLSStream], None]] = None,
) -> TLSStream:
    """TLS over a connected stream with what `context` returns; `judge` may refuse it before its last part is sent.

    `server_hostname` is the name of the server that is meant, with or without the root's dot. If it raises the stream
    is closed: TLSError, CertificateError, TimedOut, whatever the attempt's `check` or `judge` raise.
    """
    try:
        # The absolute form of a name, with its dot, is in no certificate and not allowed in SNI (RFC 6066 section 3).
        tls = TLSStream(stream, context(), server_hostname.rstrip("."))
        tls.handshake(attempt, None if judge is None else functools.partial(judge, tls))
        return tls
    except WebSocketError as error:
        stream.close()
        if isinstance(error, ConnectionClosed):
            cause = error.__cause__ or error
            raise translate_tls_error(cause) from cause
        raise
    except (OSError, ValueError) as error:
        stream.close()
        raise translate_tls_error(error) from error
    except BaseException:
        stream.close()
        raise


def trust_of(stream: TLSStream, host: str, port: int, error: Optional[CertificateError] = None) -> ServerTrust:
    """What a delegate is asked about: the certificates of `stream`, whose handshake is done, and the verdict so far.

    Where OpenSSL has verified, the chain is the verified one, up to the root; else it is what the server sent, of which
    only the first has been proved to be its own. Python 3.9 tells that one alone.
    """
    found = stream.ssl_object
    certificates = _verified_chain(found) or _chain(found, "get_unverified_chain") or _leaf(found)
    if not certificates:
        raise CertificateError("the server has shown no certificate")
    return ServerTrust(host, port, certificates, error)


def same_certificate(accepted: ServerTrust, shown: ServerTrust) -> bool:
    """Whether both are of one server, host and port, and its own certificate is the very same in both.

    That is also what a credential for trust must fulfil: the one which is `accepted` is the one that was `shown`.
    """
    place = accepted.host, accepted.port
    leaf = accepted.certificates[:1]
    return leaf == shown.certificates[:1] and place == (shown.host, shown.port)


def _leaf(found: ssl.SSLObject) -> Tuple[bytes, ...]:
    certificate = found.getpeercert(True)
    return (certificate,) if certificate else ()


def _verified_chain(found: ssl.SSLObject) -> Tuple[bytes, ...]:
    """The chain that OpenSSL has verified, as far as Python tells.

    Without verification OpenSSL builds a chain too, of whatever was sent, and no signature in it need be good: a pinned
    authority could be put into it by anyone. So such a one is none. The same for objects of other classes: truststore,
    for one, lets the system judge in the place of OpenSSL.
    """
    if type(found) is not ssl.SSLObject or found.context.verify_mode == ssl.CERT_NONE:
        return ()
    return _chain(found, "get_verified_chain")


def _chain(found: ssl.SSLObject, name: str) -> Tuple[bytes, ...]:
    """The object's answer, public from Python 3.13 on. In 3.10 to 3.12, which change no more, it is there below."""
    ask = getattr(found, name, None) or getattr(getattr(found, "_sslobj", None), name, None)
    certificates = ask() if ask is not None else None
    return tuple(map(_der, certificates or ()))


def _der(certificate: Any) -> bytes:
    encoded: bytes = certificate if isinstance(certificate, bytes) else certificate.public_bytes(_DER)
    return encoded


_DER = 2
"""`_ssl.ENCODING_DER`."""

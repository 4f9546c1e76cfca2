"""TLS of an opening, where a delegate may have a say: client certificates, and certificates that it accepts.

Whom a delegate has accepted is kept for the task: another connection of the same opening, after a 401 or a redirect
back, passes with exactly that certificate and is not asked about again. How it is done without ever sending anything to
somebody who was not accepted is described in `transport.trust`.
"""

from __future__ import annotations

import functools

from ..auth import AuthChallengeDisposition, AuthenticationChallenge, AuthenticationMethod, ProtectionSpace
from ..errors import CertificateError, TLSError
from ..hints import TYPE_CHECKING, Callable, Dict, Optional, Tuple
from ..logs import log
from ..transport.trust import Handshakes, same_certificate, trust_of
from .answering import Answer, ask
from .tracebacks import drop_frames

if TYPE_CHECKING:
    from ..auth import Credential, ServerTrust
    from ..protocol.urls import WebSocketURL
    from ..transport.stream import Stream
    from ..transport.tls import Identity
    from ..transport.tls_stream import TLSStream
    from .context import Context

__all__ = ["Securing"]

_FOR_SESSION = "session_did_receive_challenge"
_FOR_TASK = "did_receive_challenge"

Place = Tuple[str, int]


class Securing:
    """The TLS handshakes of one opening, on the engine thread."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._judged: Dict[Place, ServerTrust] = {}
        self._identities: Dict[Place, Optional[Identity]] = {}

    def secure_proxy(self, stream: Stream, host: str) -> Stream:
        """TLS to an https proxy, which is verified and nothing else: no delegate, no pins, no client certificate but
        one that the user's own `ssl_context` has.
        """
        trace = functools.partial(self._context.trace, is_proxy=True)
        handshakes = Handshakes(self._context.plan.tls(), trace=trace).for_proxy()
        return handshakes.secure(stream, self._context.attempts.whole, host)

    def secure(self, url: WebSocketURL, connect: Callable[[], Stream]) -> Stream:
        """TLS to the server of `url` over what `connect` makes, once or, if a delegate is to decide, twice.

        TLSError, CertificateError, TimedOut, Cancelled, and whatever `connect` raises; nothing is left open then.
        """
        place = (url.host, url.port)
        attempt, name = self._context.attempts.whole, url.server_name
        handshakes = Handshakes(
            self._context.plan.tls(),
            identity=self._identity(url),
            url=url.shown,
            trace=self._context.trace,
        )
        judged = self._judged.get(place)
        if judged is not None and not judged.is_trusted:
            return handshakes.accept(connect(), attempt, judged)
        asked = _FOR_SESSION if self._context.questions.has(_FOR_SESSION) else _FOR_TASK
        decides = self._context.questions.has(asked)
        error: Optional[CertificateError] = None
        try:
            tls = handshakes.secure(connect(), attempt, name)
        except CertificateError as refusal:
            if not (decides and handshakes.may_look(refusal)):
                raise
            error = refusal
            drop_frames(error)  # the delegate may keep it, and these know all of the opening
        if error is not None:
            tls = self._look(handshakes, connect(), name, error)
        elif not decides:
            return tls
        return self._judge(tls, url, asked, error, handshakes, connect)

    def _look(self, handshakes: Handshakes, stream: Stream, name: str, error: CertificateError) -> TLSStream:
        """See `Handshakes.look`. A server that shakes hands with nobody it does not know cannot be looked at (over TLS
        1.2, one that demands a client certificate): then the verdict of the first connection stands.
        """
        try:
            return handshakes.look(stream, self._context.attempts.whole, name)
        except CertificateError:
            raise
        except TLSError:
            raise error from error.__cause__

    def _judge(
        self,
        tls: TLSStream,
        url: WebSocketURL,
        asked: str,
        error: Optional[CertificateError],
        handshakes: Handshakes,
        connect: Callable[[], Stream],
    ) -> Stream:
        """Ask the delegate about the server behind `tls`, which is closed unless it is accepted (rules 98 and 99)."""
        place = (url.host, url.port)
        keeps = False
        try:
            trust = trust_of(tls, url.server_name, url.port, error)
            judged = self._judged.get(place)
            if judged is None or error is not None or not same_certificate(judged, trust):
                self._decide(asked, trust)
                self._judged[place] = trust
            keeps = error is None or handshakes.identity is None
        finally:
            if not keeps:
                tls.close()
        # What was only looked at has not seen our certificate: see `Handshakes.look`.
        return tls if keeps else handshakes.accept(connect(), self._context.attempts.whole, trust)

    def _decide(self, asked: str, trust: ServerTrust) -> None:
        """Return if the server is accepted."""
        space = ProtectionSpace(
            trust.host, trust.port, "https", None, AuthenticationMethod.SERVER_TRUST, server_trust=trust
        )
        disposition, credential = self._ask(asked, AuthenticationChallenge(space, error=trust.error))
        if disposition is AuthChallengeDisposition.REJECT_PROTECTION_SPACE:
            raise CertificateError("the delegate rejected the server's certificate") from trust.error
        if disposition is AuthChallengeDisposition.USE_CREDENTIAL and credential is not None:
            accepted = credential.server_trust
            if accepted is not None and same_certificate(accepted, trust):
                return
            log().error("wssync: a delegate answered a server's certificate with a credential for something else")
        if trust.error is not None:
            raise trust.error

    def _identity(self, url: WebSocketURL) -> Optional[Identity]:
        """The client certificate for this server: `ssl` cannot be asked in the middle of a handshake, so the delegate
        is asked before, once, if it has the session's method, which is the one for TLS (rule 101).
        """
        if self._context.plan.configuration.ssl_context is not None or not self._context.questions.has(_FOR_SESSION):
            return None
        place = (url.host, url.port)
        if place not in self._identities:
            space = ProtectionSpace(*place, "https", None, AuthenticationMethod.CLIENT_CERTIFICATE)
            disposition, credential = self._ask(_FOR_SESSION, AuthenticationChallenge(space))
            uses = disposition is AuthChallengeDisposition.USE_CREDENTIAL
            self._identities[place] = _identity_of(credential) if uses and credential is not None else None
        return self._identities[place]

    def _ask(self, name: str, challenge: AuthenticationChallenge) -> Answer:
        self._context.step_aside()  # the user may take a minute
        return ask(self._context, name, challenge)


def _identity_of(credential: Credential) -> Optional[Identity]:
    if credential.certificate_file is None:
        log().error("wssync: a delegate answered the question for a client certificate with something else")
        return None
    return credential.certificate_file, credential.key_file, credential.password

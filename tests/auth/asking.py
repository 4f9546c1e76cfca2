"""What the tests of `wssync.auth` share: responses, and a server's half that judges without a network."""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Tuple

from wssync.auth.authenticator import Authenticator, Round
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Response
from wssync.testing.authentication import Scheme

HOST, PORT, PROTOCOL = "example.com", 443, "wss"
ORIGIN = (HOST, PORT, PROTOCOL)


def response(status: int, *fields: Tuple[str, str]) -> Response:
    """A response with these header fields."""
    return Response(f"wss://{HOST}/", status, "", Headers(fields))


def refusal(*challenges: str, proxy: bool = False) -> Response:
    """A 401 (or 407) with a field for each challenge."""
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    return response(407 if proxy else 401, *((name, challenge) for challenge in challenges))


class Exchange:
    """A task that opens at a server that asks for a password: one request after the other, until it is let in.

    `decide` stands for the loop of the opening: it answers the challenges of a round, or does not (False).
    """

    def __init__(
        self,
        authenticator: Authenticator,
        schemes: Sequence[Scheme],
        decide: Optional[Callable[[Authenticator, Round], bool]] = None,
    ) -> None:
        self.authenticator = authenticator
        self.schemes = schemes
        self.sent: List[Optional[str]] = []
        self.reasons: List[Optional[str]] = []
        self._decide = decide or by_default

    def run(self, target: str = "/", most: int = 20) -> bool:
        """Whether it was let in in the end; AssertionError if there is no end."""
        for _ in range(most):
            answer = self.request(target)
            if answer.status_code == 101:
                self.authenticator.succeeded(answer)
                return True
            found = self.authenticator.challenged(answer, *ORIGIN)
            if not (found.retry or self._decide(self.authenticator, found)):
                return False
        raise AssertionError("the client asks for ever")

    def request(self, target: str = "/") -> Response:
        """One request, and the answer of the server."""
        value = self.authenticator.authorization("GET", target, *ORIGIN)
        self.sent.append(value)
        verdicts = [scheme.judge([] if value is None else [value], "GET", target) for scheme in self.schemes]
        self.reasons += [verdict.reason for verdict in verdicts]
        if any(verdict.reason is None for verdict in verdicts):
            return response(101)
        challenges = [scheme.challenge(verdict.stale) for scheme, verdict in zip(self.schemes, verdicts)]
        return refusal(*challenges)


def by_default(authenticator: Authenticator, found: Round) -> bool:
    """What happens without a delegate: the first challenge for which something is proposed."""
    for challenge in found.challenges:
        credential = authenticator.default(challenge)
        if credential is not None:
            return authenticator.use(challenge, credential)
    return False

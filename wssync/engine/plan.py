"""What is to be opened, and what comes of it: the values between a task, its opening and its engine."""

from __future__ import annotations

from ..configuration import SessionConfiguration
from ..hints import TYPE_CHECKING, Callable, NamedTuple, Optional, Sequence, Tuple
from ..protocol.handshake import Accepted
from ..protocol.http1 import Request
from ..protocol.urls import WebSocketURL
from ..transport.stream import Stream
from .gate import Gate
from .surroundings import dial

if TYPE_CHECKING:
    from ..transport.trust import TLSTerms

__all__ = ["Opened", "Plan"]


class Plan(NamedTuple):
    """What is to be opened, and with what."""

    request: Request
    protocols: Sequence[str]
    configuration: SessionConfiguration
    tls: Callable[[], TLSTerms]
    gate: Gate
    dial: Callable[..., Stream] = dial

    @property
    def url(self) -> WebSocketURL:
        """The request's URL, parsed."""
        return self.request.parsed_url

    @property
    def patience(self) -> Optional[float]:
        """Seconds that one exchange may take: the request's own limit or the configuration's (rules 204, 205)."""
        return self.patience_for(self.request)

    def patience_for(self, request: Request) -> Optional[float]:
        """The same for another request of the opening, which a delegate may have changed."""
        own = request.timeout_interval
        return self.configuration.timeout_interval_for_request if own is None else own


class Opened(NamedTuple):
    """An open connection, and what came behind the response head: the first frames (rule 47).

    The response itself is told to those who trace; what is kept of it is its head and the URL that was asked.
    """

    stream: Stream
    verdict: Accepted
    head: Tuple[bytes, str]
    rest: bytes

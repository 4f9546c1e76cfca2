"""The question that a delegate is asked, and what it may answer (Apple: `URLAuthenticationChallenge`)."""

from __future__ import annotations

import enum

from ..errors import WebSocketError
from ..frozen import Frozen
from ..hints import Optional
from ..protocol.http1 import Response
from .credentials import Credential
from .spaces import ProtectionSpace

__all__ = ["AuthChallengeDisposition", "AuthenticationChallenge"]


class AuthChallengeDisposition(enum.IntEnum):
    """What a delegate wants done about a challenge (Apple's values)."""

    USE_CREDENTIAL = 0
    """Use the credential that comes with it; with `None`, go on without one."""
    PERFORM_DEFAULT_HANDLING = 1
    """As if there were no delegate."""
    CANCEL_AUTHENTICATION_CHALLENGE = 2
    """The task is cancelled."""
    REJECT_PROTECTION_SPACE = 3
    """Not this challenge: ask again with the next one of the same response."""


class AuthenticationChallenge(Frozen):
    """Somebody wants a credential: a frozen value.

    `proposed_credential` is the one that would be used by default, `None` without one; one that failed is not proposed
    again. `previous_failure_count` is how often the task has been refused so far. `failure_response` is the 401 or 407
    with its headers and body, `error` what TLS has against a certificate; each is `None` for the other kind.
    """

    protection_space: ProtectionSpace
    proposed_credential: Optional[Credential] = None
    previous_failure_count: int = 0
    failure_response: Optional[Response] = None
    error: Optional[WebSocketError] = None

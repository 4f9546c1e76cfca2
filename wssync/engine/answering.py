"""How a challenge is answered: by the delegate if there is one to ask, else by what is stored (rules 64 to 72).

The passwords themselves, and what they come to in a header field, are `auth`'s matter. Here is who decides.
"""

from __future__ import annotations

from ..auth import AuthChallengeDisposition, AuthenticationChallenge, Credential
from ..errors import AuthenticationFailed, Cancelled
from ..hints import TYPE_CHECKING, Any, Optional, Tuple
from ..logs import log
from .asking import NO_ANSWER, WITHDRAWN

if TYPE_CHECKING:
    from ..auth.authenticator import Authenticator
    from ..protocol.http1 import Response
    from .context import Context

__all__ = ["Place", "answer", "ask"]


Answer = Tuple[AuthChallengeDisposition, Optional[Credential]]
Place = Tuple[str, int, str]

_DEFAULT: Answer = (AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING, None)


def ask(context: Context, name: str, challenge: AuthenticationChallenge) -> Answer:
    """What the delegate's method of that name answers; the default where it has none, or gives no answer.

    Raises Cancelled when it cancels the challenge, and so the task (rule 70).
    """
    space = challenge.protection_space
    context.trace("challenge", method=str(space.authentication_method), realm=space.realm, is_proxy=space.is_proxy)
    if context.questions.has(name):
        context.trace("waiting", reason="delegate")
    answered = context.questions.ask(name, context.attempts.whole, challenge)
    if answered is NO_ANSWER:
        return _DEFAULT
    if answered is WITHDRAWN:
        raise Cancelled("the answer to a challenge was cancelled")
    disposition, credential = _read(answered)
    if disposition is AuthChallengeDisposition.CANCEL_AUTHENTICATION_CHALLENGE:
        raise Cancelled("the delegate cancelled a challenge")
    return disposition, credential


def _read(answered: Any) -> Answer:
    """An answer that is none is a mistake of the delegate's, and must not become an open door."""
    if isinstance(answered, tuple) and len(answered) == 2:
        disposition, credential = answered
        if isinstance(disposition, AuthChallengeDisposition) and isinstance(credential, (Credential, type(None))):
            return disposition, credential
    log().error("wssync: a delegate answered a challenge with %s", type(answered).__name__)
    return _DEFAULT


def answer(authenticator: Authenticator, context: Context, response: Response, place: Place) -> bool:
    """Whether the request is to be repeated that `response` (401 or 407) refused; `place` is host, port and protocol.

    False when nothing is left to try. AuthenticationFailed for a credential that cannot be used, Cancelled when the
    delegate cancels.
    """
    tried = authenticator.challenged(response, *place)
    if tried.retry:
        return True
    asks = context.questions.has("did_receive_challenge")
    for challenge in tried.challenges:
        disposition, credential = ask(context, "did_receive_challenge", challenge)
        if disposition is AuthChallengeDisposition.REJECT_PROTECTION_SPACE:
            continue
        if disposition is AuthChallengeDisposition.PERFORM_DEFAULT_HANDLING:
            credential = authenticator.default(challenge)
        if credential is not None:
            return _use(authenticator, challenge, credential, response)
        if asks:
            return False
    return False


def _use(
    authenticator: Authenticator, challenge: AuthenticationChallenge, credential: Credential, response: Response
) -> bool:
    try:
        return authenticator.use(challenge, credential)
    except ValueError as error:
        raise AuthenticationFailed(f"the credential cannot be used: {error}", response=response) from error

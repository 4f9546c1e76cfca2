"""How one side of one task comes to be believed: what goes into its requests, and what a refusal leads to.

The loop of the opening drives it, one step for each request and each response:

    authorization(...)          the value for the request that goes out now
    challenged(response, ...)   after a 401 (or 407): the challenges to be answered, or a request to be repeated at once
    use(challenge, credential)  what the delegate, or `default`, has chosen
    succeeded(response)         after every other response

It asks nobody and sends nothing itself, so all of it is tested with literals. An answer belongs to the origin that
asked (host, port and protocol) and goes to no other; one `Authenticator` is for the server and its redirects, another
one for the proxy. It is used by one thread at a time.
"""

from __future__ import annotations

from ..errors import AuthenticationFailed
from ..frozen import Frozen
from ..hints import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple
from .answers import Answer, DigestAnswer, DigestOffer, Offer, TokenOffer, offers_of
from .challenge import AuthenticationChallenge
from .credentials import Credential
from .spaces import AuthenticationMethod, Origin, ProtectionSpace, origin_of

if TYPE_CHECKING:
    from ..protocol.http1 import Response
    from .netrc_file import NetrcFile
    from .storage import CredentialStorage

__all__ = ["MAX_FAILURES", "MAX_STALE", "Authenticator", "Round"]

MAX_FAILURES = 20
"""How often a task may be refused: whoever names another realm each time is somebody new each time, without an end."""

MAX_STALE = 3
"""Nonces in a row that a server may call stale before that is a refusal. One is usual."""

MAX_REPEATED = 2
"""How often in a row a credential may be refused before it is not tried again (rule 72)."""

Secret = Tuple[Optional[str], Optional[str], Optional[str], Optional[str]]


class Round(Frozen):
    """What a 401 or 407 leads to.

    `retry`: send the request again, without asking anybody. Else the `challenges` are to be answered, the strongest
    first; with none there is nothing to try.
    """

    retry: bool
    challenges: Sequence[AuthenticationChallenge] = ()


class _Attempt(NamedTuple):
    """A credential that is used for a space."""

    space: ProtectionSpace
    credential: Credential
    answer: Answer

    @property
    def origin(self) -> Origin:
        """Where its answer may go."""
        return origin_of(self.space.host, self.space.port, self.space.protocol)

    @property
    def secret(self) -> Tuple[ProtectionSpace, Secret]:
        """What makes two attempts the same; how long the credential is kept is no part of it."""
        return self.space, _secret(self.credential)


class Authenticator:
    """The state of one side of one task; `is_proxy` tells which.

    `storage` has credentials of earlier tasks and takes those that were accepted, `None` for neither. `netrc` is asked
    last, `None` for not at all.
    """

    def __init__(
        self,
        *,
        is_proxy: bool = False,
        storage: Optional[CredentialStorage] = None,
        netrc: Optional[NetrcFile] = None,
    ) -> None:
        self._is_proxy = is_proxy
        self._storage = storage
        self._netrc = netrc
        self._field = "Proxy-Authenticate" if is_proxy else "WWW-Authenticate"
        self._info = "Proxy-Authentication-Info" if is_proxy else "Authentication-Info"
        self._given: Dict[Origin, Credential] = {}
        self._attempts: Dict[Origin, _Attempt] = {}
        self._sent: Optional[_Attempt] = None
        self._previous: Optional[Answer] = None
        self._offers: Dict[ProtectionSpace, Offer] = {}
        self._failures = 0
        self._failed: Set[Tuple[Origin, Optional[str], Secret]] = set()
        self._repeated: Tuple[object, int] = (None, 0)
        self._stale = 0

    def give(self, credential: Optional[Credential], host: str, port: int, protocol: str) -> None:
        """The caller's own credential for that origin, as the userinfo of its URL has it; `None` changes nothing."""
        if credential is not None:
            self._given[origin_of(host, port, protocol)] = credential

    def authorization(self, method: str, target: str, host: str, port: int, protocol: str) -> Optional[str]:
        """The value of Authorization (or Proxy-Authorization) for the next request, which goes to that origin.

        `None` if it is to have none: nothing was asked yet (rule 76), or by another origin. `target` is the request
        target as it is sent.
        """
        self._sent = self._attempts.get(origin_of(host, port, protocol))
        return None if self._sent is None else self._sent.answer.value(method, target)

    def challenged(self, response: Response, host: str, port: int, protocol: str) -> Round:
        """What is to be done about that 401 (or 407), the response to the request that `authorization` was for.

        Raises AuthenticationFailed if the netrc file is needed and cannot be used.
        """
        sent, self._sent = self._sent, None
        offers = offers_of(response.headers.get_all(self._field))
        if sent is not None and self._renew(sent, offers):
            return Round(retry=True)
        origin = origin_of(host, port, protocol)
        if sent is not None:
            self._reject(origin, sent)
        if self._failures >= MAX_FAILURES:
            offers = []
        self._offers = {self._space(origin, offer): offer for offer in offers}
        try:
            challenges = [
                AuthenticationChallenge(space, self._proposal(origin, space, offer), self._failures, response)
                for space, offer in self._offers.items()
            ]
        except AuthenticationFailed as error:
            error.response = response
            raise
        return Round(False, challenges)

    def default(self, challenge: AuthenticationChallenge) -> Optional[Credential]:
        """What is used if nobody says otherwise (rule 69): what was proposed; `None` if there was nothing to propose.

        A credential that failed, or does not fit, is never proposed.
        """
        return challenge.proposed_credential

    def use(self, challenge: AuthenticationChallenge, credential: Credential) -> bool:
        """Answer with that credential from the next request on.

        False, and nothing is changed, if it was refused twice in a row already: it is not tried a third time (rule 72).
        ValueError for a credential that does not fit (a trust for Basic, a colon in its user), and for a challenge that
        is not of the last response; TypeError for what is no credential. None of them shows a secret.
        """
        if not isinstance(credential, Credential):
            raise TypeError(f"a challenge is answered with a Credential, not {type(credential).__name__}")
        space = challenge.protection_space
        offer = self._offers.get(space)
        if offer is None:
            raise ValueError("this challenge is not one of the last response")
        attempt = _Attempt(space, credential, offer.answer(credential, self._previous))
        if self._repeated == (attempt.secret, MAX_REPEATED):
            return False
        self._attempts[attempt.origin] = attempt
        self._stale = 0
        return True

    def succeeded(self, response: Response) -> None:
        """Take note of a response that is no 401 (or 407) to the request that `authorization` was for.

        A credential that led to a 101, or a proxy's 2xx, is stored as its persistence says (rule 75). Its next nonce is
        for further requests of this task, such as after a redirect (rule 74); later tasks get one with their own 401
        (rule 76).
        """
        sent, self._sent = self._sent, None
        if sent is None:
            return
        if isinstance(sent.answer, DigestAnswer):
            self._take_next_nonce(sent.answer, response)
        status = response.status_code
        accepted = 200 <= status < 300 if self._is_proxy else status == 101
        if self._storage is not None and accepted:
            self._storage.set(sent.credential, sent.space)

    def _take_next_nonce(self, answer: DigestAnswer, response: Response) -> None:
        if self._info not in response.headers:
            return
        from ..protocol.challenges import parse_parameters

        nonce = (parse_parameters(response.headers.get_all(self._info)) or {}).get("nextnonce")
        if nonce is not None:
            answer.take_next_nonce(nonce)

    def _renew(self, sent: _Attempt, offers: List[Offer]) -> bool:
        """Whether the nonce alone was too old: then the answer to the new one needs nobody's consent.

        The server must not change the question on that occasion, neither the realm nor to a weaker hash.
        """
        answer = sent.answer
        if not isinstance(answer, DigestAnswer) or self._stale == MAX_STALE:
            return False
        for offer in offers:
            if isinstance(offer, DigestOffer) and offer.is_stale and offer.realm_octets == answer.offer.realm_octets:
                if offer.strength < answer.offer.strength:
                    return False
                self._stale += 1
                renewed = sent._replace(answer=offer.answer(sent.credential, answer))
                self._attempts[renewed.origin] = renewed
                return True
        return False

    def _reject(self, origin: Origin, sent: _Attempt) -> None:
        self._failures += 1
        self._previous = sent.answer
        self._failed.add((origin, sent.space.realm, _secret(sent.credential)))
        last, times = self._repeated
        self._repeated = (sent.secret, times + 1 if last == sent.secret else 1)
        self._attempts.pop(origin, None)

    def _proposal(self, origin: Origin, space: ProtectionSpace, offer: Offer) -> Optional[Credential]:
        """The first of all that fit which has not failed here.

        One that failed with Digest is not proposed for Basic of the same realm, where it would be sent in clear.
        """
        if isinstance(offer, TokenOffer):
            return None
        for credential in self._candidates(origin, space):
            failed = (origin, space.realm, _secret(credential)) in self._failed
            if not failed and offer.accepts(credential):
                return credential
        return None

    def _candidates(self, origin: Origin, space: ProtectionSpace) -> Iterator[Credential]:
        """Rule 65: the URL's, those stored in the order of their users, the default of the store; then the netrc's, but
        not in the place of a user whom the URL names.
        """
        if origin in self._given:
            yield self._given[origin]
        if self._storage is not None:
            yield from (credential for _, credential in sorted(self._storage.credentials(space).items()))
            default = self._storage.default_credential(space)
            if default is not None:
                yield default
        if self._netrc is not None and origin not in self._given:
            found = self._netrc.find(space.host)
            if found is not None:
                yield found

    def _space(self, origin: Origin, offer: Offer) -> ProtectionSpace:
        return ProtectionSpace(*origin, offer.realm, AuthenticationMethod.named(offer.scheme), self._is_proxy)


def _secret(credential: Credential) -> Secret:
    return credential.user, credential.password, credential.scheme, credential.value

"""Challenges that can be answered, and their answers: Basic (RFC 7617), Digest (RFC 7616), and tokens for the rest.

An `Offer` is a challenge that this side understands, made when a 401 or 407 comes. With a credential it makes an
`Answer`, which has a value of Authorization for each request that follows. What an answer repeats of the challenge
(realm, nonce, opaque) are bytes of the server's, free of control characters because `parse_challenges` lets none pass,
and quoted again. This side's names and passwords are sent as UTF-8 whether the server asks for it or not: without
`charset` every other choice is a guess too, and this one is what browsers and curl send.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from ..frozen import Frozen
from ..hints import Dict, Iterable, List, Optional, Tuple
from ..protocol.challenges import Challenge, decode_text, parse_challenges, quote, quote_octets, to_octets
from ..protocol.digest import Algorithm, find_algorithm
from ..protocol.headers import printable
from .credentials import Credential
from .spaces import AuthenticationMethod

__all__ = ["Answer", "BasicOffer", "DigestAnswer", "DigestOffer", "Offer", "TokenOffer", "offers_of"]

_WRONG_KIND = "is answered with a user name and a password"


class Answer(ABC):
    """An offer taken up with a credential."""

    @abstractmethod
    def value(self, method: str, target: str) -> str:
        """The value of Authorization for this request, which counts as sent."""


class Offer(Frozen):
    """A challenge that can be answered.

    `scheme` is spelled as the server does, `realm` text to be read. Stronger ones have a larger `strength`: Digest by
    its hash, then Basic, then what only a token can answer.
    """

    scheme: str
    realm: Optional[str] = None

    @property
    def strength(self) -> int:
        """How strong it is."""
        return 0

    def accepts(self, credential: Credential) -> bool:
        """Whether `answer` would not raise."""
        try:
            self.answer(credential)
        except ValueError:
            return False
        return True

    def answer(self, credential: Credential, previous: Optional[Answer] = None) -> Answer:
        """Take it up; ValueError, which shows no secret, if the credential is of a wrong kind.

        `previous` is the last answer of the task: if the nonce is still the same, its uses go on being counted.
        """
        if credential.scheme is not None and credential.value is not None:
            if credential.scheme.lower() != self.scheme.lower():
                raise ValueError(f"a token for {credential.scheme} does not answer {printable(self.scheme)}")
            return _FixedAnswer(f"{credential.scheme} {credential.value}")
        scheme = printable(self.scheme)
        raise ValueError(f"only Credential.token({scheme!r}, ...) answers {scheme}")


class TokenOffer(Offer):
    """One of a scheme that is not known here: Bearer, Negotiate and what will come."""


class BasicOffer(Offer):
    """`Basic`, with `realm` or without, which RFC 7617 does not allow and servers do."""

    @property
    def strength(self) -> int:
        """More than nothing."""
        return 1

    def answer(self, credential: Credential, previous: Optional[Answer] = None) -> Answer:
        """As `Offer.answer`; a user name must have no colon (RFC 7617 section 2)."""
        if credential.scheme is not None:
            return super().answer(credential, previous)
        if credential.user is None or credential.password is None:
            raise ValueError(f"Basic {_WRONG_KIND}")
        if ":" in credential.user:
            raise ValueError("a user name for Basic authentication has no colon (RFC 7617 section 2)")
        import binascii

        encoded = binascii.b2a_base64(to_octets(f"{credential.user}:{credential.password}"), newline=False)
        return _FixedAnswer(f"Basic {encoded.decode('ascii')}")


class DigestOffer(Offer):
    """`Digest`, as far as it can be answered; the octets are those of the server, seen through Latin-1.

    `algorithm_name` is the server's spelling, `None` where it named none, which means MD5. `has_qop` tells the form of
    RFC 7616 from the one of RFC 2069; `takes_hashed_user` and `takes_extended_user` are about the user name.
    """

    scheme: str
    realm: Optional[str]
    realm_octets: str
    nonce: str
    opaque: Optional[str]
    algorithm: Algorithm
    algorithm_name: Optional[str]
    has_qop: bool
    takes_hashed_user: bool
    takes_extended_user: bool
    is_stale: bool

    @property
    def strength(self) -> int:
        """That of its hash, and each is more than Basic."""
        return 1 + self.algorithm.strength

    def answer(self, credential: Credential, previous: Optional[Answer] = None) -> Answer:
        """As `Offer.answer`."""
        if credential.user is None or credential.password is None:
            raise ValueError(f"Digest {_WRONG_KIND}")
        uses = previous.uses if isinstance(previous, DigestAnswer) and previous.nonce == self.nonce else 0
        return DigestAnswer(self, credential.user, credential.password, uses)


class _FixedAnswer(Answer):
    """The same for every request."""

    def __init__(self, text: str) -> None:
        self._text = text

    def value(self, method: str, target: str) -> str:
        return self._text


class DigestAnswer(Answer):
    """Digest's answers to one challenge (RFC 7616 section 3.4): `uses` counts the requests with `nonce`."""

    def __init__(self, offer: DigestOffer, user: str, password: str, uses: int) -> None:
        self.offer = offer
        self.nonce = offer.nonce
        self.uses = uses
        self._user = user
        realm = _octets(offer.realm_octets)
        self._secret = offer.algorithm.secret(to_octets(user), realm, to_octets(password))
        self._cnonce: Optional[str] = None
        if offer.algorithm.is_session:
            # The session's key has its first cnonce in it for good (section 3.4.2). Servers that take that of each
            # request instead agree as long as it stays the same, so it does.
            self._cnonce = _make_cnonce()
            self._secret = offer.algorithm.session_secret(self._secret, _octets(offer.nonce), _octets(self._cnonce))

    def take_next_nonce(self, nonce: str) -> None:
        """From now on use this one, which the server gave ahead of time (section 3.5)."""
        if nonce != self.nonce:
            self.nonce, self.uses = nonce, 0

    def value(self, method: str, target: str) -> str:
        """The value of Authorization for this request, which counts as sent."""
        self.uses += 1
        offer = self.offer
        uri, between = target.encode("ascii"), [_octets(self.nonce)]
        parameters = [
            *self._user_parameters(),
            f"realm={quote_octets(offer.realm_octets)}",
            f"nonce={quote_octets(self.nonce)}",
            f"uri={quote_octets(target)}",
        ]
        if offer.algorithm_name is not None:
            parameters.append(f"algorithm={offer.algorithm_name}")
        if offer.opaque is not None:
            parameters.append(f"opaque={quote_octets(offer.opaque)}")
        if offer.has_qop:
            count, cnonce = f"{self.uses:08x}", self._cnonce or _make_cnonce()
            parameters += ["qop=auth", f"nc={count}", f'cnonce="{cnonce}"']
            between += [_octets(count), _octets(cnonce), b"auth"]
        response = offer.algorithm.response(self._secret, method.encode("ascii"), uri, *between)
        return f'Digest {", ".join(parameters)}, response="{response.decode("ascii")}"'

    def _user_parameters(self) -> List[str]:
        offer, user = self.offer, to_octets(self._user)
        if offer.takes_hashed_user:
            hashed = offer.algorithm.hash(user, _octets(offer.realm_octets)).decode("ascii")
            return [f'username="{hashed}"', "userhash=true"]
        if self._user.isascii() or not offer.takes_extended_user:
            return [f"username={quote(self._user)}"]
        from urllib.parse import quote as escape

        # Its safe ones and these are the attr-char of RFC 8187 section 3.2.1.
        return ["username*=UTF-8''" + escape(user, safe="!#$&+^`|")]


def offers_of(values: Iterable[str]) -> List[Offer]:
    """What can be answered of the challenges in these fields, the strongest first, equally strong ones as given.

    Of several that would ask the same question (scheme and realm) the strongest alone: Digest with two algorithms is
    meant to be one question (RFC 7616 section 3.7).
    """
    offers = [offer for offer in map(_offer_of, parse_challenges(values)) if offer is not None]
    offers.sort(key=lambda offer: -offer.strength)
    questions: Dict[Tuple[str, Optional[str]], Offer] = {}
    for offer in offers:
        questions.setdefault((offer.scheme.lower(), offer.realm), offer)
    return list(questions.values())


def _offer_of(challenge: Challenge) -> Optional[Offer]:
    method = AuthenticationMethod.named(challenge.scheme)
    realm = challenge.get("realm")
    text = None if realm is None else decode_text(realm)
    if method == AuthenticationMethod.HTTP_DIGEST:
        return _digest_offer_of(challenge)
    return (BasicOffer if method == AuthenticationMethod.HTTP_BASIC else TokenOffer)(challenge.scheme, text)


def _digest_offer_of(challenge: Challenge) -> Optional[Offer]:
    """`None` without a realm or a nonce, with an unknown algorithm, or where all qop are beyond us."""
    realm, nonce, name = (challenge.get(key) for key in ("realm", "nonce", "algorithm"))
    algorithm = find_algorithm("MD5" if name is None else name)
    if realm is None or nonce is None or algorithm is None:
        return None
    qops = {qop.strip(" \t").lower() for qop in (challenge.get("qop") or "").split(",")} - {""}
    if (qops and "auth" not in qops) or (algorithm.is_session and not qops):
        return None
    return DigestOffer(
        challenge.scheme,
        decode_text(realm),
        realm,
        nonce,
        challenge.get("opaque"),
        algorithm,
        name,
        bool(qops),
        takes_hashed_user=_is(challenge, "userhash", "true"),
        takes_extended_user=_is(challenge, "charset", "utf-8"),
        is_stale=_is(challenge, "stale", "true"),
    )


def _is(challenge: Challenge, name: str, value: str) -> bool:
    return (challenge.get(name) or "").lower() == value


def _octets(value: str) -> bytes:
    return value.encode("latin-1")


def _make_cnonce() -> str:
    return os.urandom(16).hex()

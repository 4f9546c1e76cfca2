"""Who answers for one side of an opening: the server and its redirects, or the proxy."""

from __future__ import annotations

from ..auth.authenticator import Authenticator
from ..hints import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from ..auth import Credential
    from .answering import Place
    from .plan import Plan

__all__ = ["make_authenticator"]


def make_authenticator(
    plan: Plan, given: Optional[Credential], place: Place, *, is_proxy: bool = False
) -> Authenticator:
    """The state of one side, with what its URL has `given` for that place."""
    setting = plan.configuration.netrc
    netrc = None
    if setting:
        from ..auth.netrc_file import NetrcFile

        netrc = NetrcFile(setting if isinstance(setting, str) else None)
    passwords = Authenticator(is_proxy=is_proxy, storage=plan.configuration.url_credential_storage, netrc=netrc)
    passwords.give(given, *place)
    return passwords

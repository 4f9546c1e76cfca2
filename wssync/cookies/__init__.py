"""Cookies of the opening handshake, on top of `http.cookiejar`.

The jar is the library's: it stores, locks, saves and loads, and others use it at the same time (`requests`, the user).
What the library reads in a `Set-Cookie` field and what it sends where is of an older time than RFC 6265, and knows no
`ws:` URL. So both are done here, by RFC 6265 and what its successor (draft-ietf-httpbis-rfc6265bis) adds for safety:

- `exchange` is what an opening with cookies uses, and is light: a connection without them does not load it, and one
  whose jar is empty loads nothing else of this package;
- `fields` and `dates` read `Set-Cookie` fields, `storing` puts them into the jar, `sending` takes them out of it;
- `scope` says which hosts and paths a cookie is for, and `ages` which of two is the older one.

How the library stores things is kept, so that it finds what is stored here and the other way round: a domain begins
with a dot unless the cookie is for one host alone, and a host name without a dot has `.local` behind it.
"""

from __future__ import annotations

import enum

__all__ = ["CookieAcceptPolicy"]


class CookieAcceptPolicy(enum.IntEnum):
    """Which cookies are stored (Apple: `HTTPCookie.AcceptPolicy`, and its numbers). What is sent is another matter.

    ONLY_FROM_MAIN_DOCUMENT_DOMAIN bears on requests that have a main document URL: a cookie is stored only if that
    document would be sent it as well. Without such a URL it is the same as ALWAYS.
    """

    ALWAYS = 0
    NEVER = 1
    ONLY_FROM_MAIN_DOCUMENT_DOMAIN = 2

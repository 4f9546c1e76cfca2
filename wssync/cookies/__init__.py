"""Cookies of the opening handshake, on top of `http.cookiejar`.

The jar is the library's: it stores, locks, saves and loads, and others use it at the same time (`requests`, the user).
What the library reads in a `Set-Cookie` field and what it sends where is of an older time than RFC 6265, and knows no
`ws:` URL. So both are done here, by RFC 6265 and what its successor (draft-ietf-httpbis-rfc6265bis) adds for safety:

- `exchange` is what an opening uses, and is light: a connection without cookies loads nothing else of this package;
- `fields` and `dates` read `Set-Cookie` fields, `storing` puts them into the jar, `sending` takes them out of it;
- `scope` says which hosts and paths a cookie is for, and `ages` which of two is the older one.

How the library stores things is kept, so that it finds what is stored here and the other way round: a domain begins
with a dot unless the cookie is for one host alone, and a host name without a dot has `.local` behind it.
"""

"""wssync and other people's programs: `python -m tests.interop`.

wssync's client is held against other people's servers and proxies, and `wssync.testing.Server` against other people's
clients. What is not installed on a machine is skipped, with its reason. The modules are not named `test_...`, so that
the suite, which needs nothing but Python, passes them over.

Each peer is a real program, started in a folder of its own on a free port of the loopback interface and stopped at the
end. `peers` says how each is started, `cases` what is expected of any of them, `clients` which peer is held to what;
`starting` has what all of them need, certificates among it.
All the applications in `apps/` that are servers do the same: they echo messages, choose the subprotocol "chat" if it is
offered, close with 4001 "bye" when they get the text "close me", and, where their library can, answer "fragment me" in
three fragments.

The opening handshake is held against parts that ask for something. At the end of the way is a server of
`wssync.testing`, whose record says what came through; `sessions` has the sessions that go there.

- `openings`: passwords, redirects and cookies, by nginx and apache2 (`fronts` starts them).
- `proxied`: HTTP and SOCKS proxies and their passwords (`gateways`); what they note shows what they were told.
- `secured`: `openssl s_server` with everything that can be wrong with TLS, nginx that wants a client certificate, and
  mitmproxy, whose certificates nobody should trust by accident.

Each stranger is somebody else's client: a library in this process, or the JavaScript of a page in a browser.
`strangers` and `browser` make them alike, `visits` says what is expected of the server whoever visits it, `servers`
which stranger can do what, and `tap` keeps what was on the wire between the two.
"""

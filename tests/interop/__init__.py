"""wssync and other people's programs: `python -m tests.interop`.

wssync's client is held against other people's servers and proxies, and `wssync.testing.Server` against other people's
clients. What is not installed on a machine is skipped, with its reason. The modules are not named `test_...`, so that
the suite, which needs nothing but Python, passes them over.

Each peer is a real program, started in a folder of its own on a free port of the loopback interface and stopped at the
end. `peers` says how each is started, `cases` what is expected of any of them, `clients` which peer is held to what.
All the applications in `apps/` do the same: they echo messages, choose the subprotocol "chat" if it is offered, close
with 4001 "bye" when they get the text "close me", and, where their library can, answer "fragment me" in three
fragments.

Each stranger is somebody else's client: a library in this process, or the JavaScript of a page in a browser.
`strangers` and `browser` make them alike, `visits` says what is expected of the server whoever visits it, `servers`
which stranger can do what, and `tap` keeps what was on the wire between the two.
"""

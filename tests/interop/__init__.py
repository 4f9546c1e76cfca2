"""wssync against other people's servers and proxies: `python -m tests.interop`.

Each peer is a real program, started in a folder of its own on a free port of the loopback interface and stopped at
the end. What is not installed on a machine is skipped, with its reason. `peers` says how each is started, `cases` what
is expected of any of them, `clients` which peer is held to what. The modules are not named `test_...`, so that the
suite, which needs nothing but Python, passes them over.

All the applications in `apps/` do the same: they echo messages, choose the subprotocol "chat" if it is offered, close
with 4001 "bye" when they get the text "close me", and, where their library can, answer "fragment me" in three
fragments.
"""

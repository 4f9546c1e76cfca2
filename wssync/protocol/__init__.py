"""The protocol, pure: bytes in, values out.

Nothing in this package knows a socket, a thread, a clock or a log, and nothing in it knows whether it plays the client
or the server but by one constructor argument. Everything here can be tested with literals.
"""

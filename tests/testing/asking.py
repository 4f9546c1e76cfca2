"""A test case that asks a server by HTTP, with whatever fields it likes, and reads one answer."""

from __future__ import annotations

import dataclasses
from typing import List

from wssync.protocol.http1 import HeadReader, Response, parse_response_head
from wssync.testing import Server

from .client import ServerCase

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
"""The fields of a proper request for a WebSocket, but for its Host."""


class AskingCase(ServerCase):
    """`ask` has a new connection each time, as these servers want it."""

    def ask(self, server: Server, *fields: str, target: str = "/", method: str = "GET") -> Response:
        """The final answer to a proper request with these fields besides, with its body unless it is a 101."""
        return self.ask_all(server, *fields, target=target, method=method)[-1]

    def ask_all(self, server: Server, *fields: str, target: str = "/", method: str = "GET") -> List[Response]:
        """The same, with the informational answers before it."""
        client = self.connect(server)
        lines = [f"{method} {target} HTTP/1.1", "Host: test", *UPGRADE, *fields, "", ""]
        client.sock.sendall("\r\n".join(lines).encode("latin-1"))
        answers: List[Response] = []
        reader = HeadReader()
        data = b""
        while True:
            found = reader.feed(data)
            if found is None:
                data = client.sock.recv(65536)
                self.assertTrue(data, "the server hung up")
                continue
            answers.append(parse_response_head(found[0], server.url))
            reader, data = HeadReader(), found[1]
            if answers[-1].status_code == 101:
                return answers
            if answers[-1].status_code >= 200:
                answers[-1] = dataclasses.replace(answers[-1], body=data + client.rest())
                return answers

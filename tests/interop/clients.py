"""Which peer is held to what, in the clear and over TLS."""

from __future__ import annotations

import json
from typing import Any, Dict

import wssync
from tests.interop import peers
from tests.interop.cases import (
    LIMIT,
    SIZES,
    ClosingByPeerTests,
    ClosingByUsTests,
    CompressionTests,
    EchoTests,
    FragmentTests,
    PingTests,
    SubprotocolTests,
    text_of,
)


class ServerTests(EchoTests, SubprotocolTests, PingTests, ClosingByUsTests, ClosingByPeerTests):
    """What every server of ours does; not run by itself."""


class WebsocketsTests(ServerTests, CompressionTests, FragmentTests):
    start = staticmethod(peers.websockets)


class WebsocketsOverTLSTests(WebsocketsTests):
    secure = True


class AiohttpTests(ServerTests, CompressionTests):
    start = staticmethod(peers.aiohttp)
    answer = 1000  # it answers every Close with its own


class AiohttpOverTLSTests(AiohttpTests):
    secure = True


class TornadoTests(ServerTests, CompressionTests):
    start = staticmethod(peers.tornado)


class TornadoOverTLSTests(TornadoTests):
    secure = True


class UvicornWebsocketsTests(ServerTests, CompressionTests):
    start = staticmethod(peers.uvicorn_websockets)


class UvicornWebsocketsOverTLSTests(UvicornWebsocketsTests):
    secure = True


class UvicornWsprotoTests(ServerTests, CompressionTests):
    start = staticmethod(peers.uvicorn_wsproto)


class UvicornWsprotoOverTLSTests(UvicornWsprotoTests):
    secure = True


class HypercornTests(ServerTests):
    start = staticmethod(peers.hypercorn)


class HypercornOverTLSTests(HypercornTests):
    secure = True


class NodeWsTests(ServerTests, CompressionTests, FragmentTests):
    start = staticmethod(peers.node_ws)


class NodeWsOverTLSTests(NodeWsTests):
    secure = True


class NginxTests(ServerTests, CompressionTests, FragmentTests):
    start = staticmethod(peers.nginx)


class NginxOverTLSTests(NginxTests):
    secure = True


class HaproxyTests(ServerTests, CompressionTests, FragmentTests):
    start = staticmethod(peers.haproxy)


class HaproxyOverTLSTests(HaproxyTests):
    secure = True


class WebsocketdTests(PingTests, ClosingByUsTests):
    start = staticmethod(peers.websocketd)

    def test_lines_come_back(self) -> None:
        """Text messages without line ends come back through `cat`."""
        task = self.connect()
        for size in SIZES:
            with self.subTest(size=size):
                self.assertEchoes(task, text_of(size))


class WebsocketdOverTLSTests(WebsocketdTests):
    secure = True


class ChromiumTests(PingTests, ClosingByUsTests):
    start = staticmethod(peers.chromium)
    answer = 1000  # as to every Close

    def ask(self, task: wssync.WebSocketTask, method: str, **parameters: Any) -> Dict[str, Any]:
        """Call a method of the DevTools protocol; its result."""
        task.send(json.dumps({"id": 1, "method": method, "params": parameters}))
        while True:
            answer = json.loads(task.receive(timeout=LIMIT))
            if answer.get("id") == 1:
                result: Dict[str, Any] = answer["result"]
                return result

    def test_a_method_is_called(self) -> None:
        """A page computes a sum for us."""
        answer = self.ask(self.connect(), "Runtime.evaluate", expression="2 + 3")
        self.assertEqual(answer["result"]["value"], 5)

    def test_a_long_answer(self) -> None:
        """Three million characters, compressed by Chromium."""
        task = self.connect()
        self.assertTrue([name for name in task.extensions if name.startswith("permessage-deflate")], task.extensions)
        answer = self.ask(task, "Runtime.evaluate", expression="'x'.repeat(3e6)")
        self.assertEqual(len(answer["result"]["value"]), 3_000_000)

    def test_an_origin_is_refused(self) -> None:
        """Chromium answers 403 to a client that says it comes from a web page; the error carries that answer."""
        with self.assertRaises(wssync.HandshakeError) as caught:
            self.connect(headers={"Origin": "http://a.test"})
        response = caught.exception.response
        assert response is not None
        self.assertEqual(response.status_code, 403)


del ServerTests

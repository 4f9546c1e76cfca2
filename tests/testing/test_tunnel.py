"""Tests of `wssync.testing.tunnel`, with bare sockets, with WebSockets, and with clients that others wrote."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import re
import select
import shutil
import socket
import ssl
import subprocess
import threading
import unittest
import urllib.request
from typing import Any, Callable, Dict, List, Tuple, TypeVar
from unittest import mock

from tests.support import cases, with_cases
from tests.threads import Running
from wssync.protocol.handshake import Accepted
from wssync.protocol.http1 import Response
from wssync.protocol.messages import Close
from wssync.protocol.urls import parse_url
from wssync.testing import Server, ServerConnection, echo
from wssync.testing import tunnel as module
from wssync.testing.authentication import basic, digest
from wssync.testing.openings import refuse, set_cookies
from wssync.testing.outgoing import CutReached
from wssync.testing.tunnel import proxy

from .client import TIMEOUT, Client, ServerCase, needs_trustme, reset

T = TypeVar("T")

WELCOME = refuse(200, body=b"welcome")
SIZE = 4 * 1024 * 1024
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

needs_curl = unittest.skipUnless(shutil.which("curl"), "curl is not installed")


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def host_and_port(url: str) -> str:
    return re.sub(r"^\w+://|/.*$", "", url)


def threads() -> List[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("wssync-testing-")]


def exactly(sock: socket.socket, n: int) -> bytes:
    data = bytearray()
    while len(data) < n:
        piece = sock.recv(min(65536, n - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


class OverTLS:
    """TLS of a client over a socket, or over another of its kind, or over an `SSLSocket`, which `ssl` does not wrap."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=host)
        self.do(self.tls.do_handshake)

    def do(self, step: Callable[..., T], *arguments: Any) -> T:
        """A step of TLS, however many bytes it needs from the other side."""
        while True:
            try:
                result = step(*arguments)
                self.sock.sendall(self.outgoing.read())
                return result
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                self.incoming.write(self.sock.recv(65536))

    def sendall(self, data: bytes) -> None:
        self.do(self.tls.write, data)

    def recv(self, n: int) -> bytes:
        data: bytes = self.do(self.tls.read, n)
        return data

    def exchange(self, data: bytes, n: int) -> bytes:
        """Send `data` and receive `n` bytes at the same time, in one thread."""
        view, encrypted, received = memoryview(data), memoryview(b""), bytearray()
        while view or encrypted or len(received) < n:
            if view and not encrypted:
                view = view[self.tls.write(view[:65536]) :]
                encrypted = memoryview(self.outgoing.read())
            readable, writable, _ = select.select([self.sock], [self.sock] if encrypted else [], [], TIMEOUT)
            assert readable or writable, "nothing happens"
            if writable:
                encrypted = encrypted[self.sock.send(encrypted) :]
            if readable:
                self.incoming.write(self.sock.recv(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        received += self.tls.read(65536)
        return bytes(received)


class ProxyCase(ServerCase):
    """`target` is a bare listener, and `meet` a client and what the listener accepts for it, with a tunnel between."""

    def setUp(self) -> None:
        super().setUp()
        self.target = self.listen()
        self.place = f"127.0.0.1:{self.target.getsockname()[1]}"

    def listen(self, host: str = "127.0.0.1", family: int = socket.AF_INET) -> socket.socket:
        listener = socket.create_server((host, 0), family=family)
        listener.settimeout(TIMEOUT)
        self.addCleanup(listener.close)
        return listener

    def accept(self) -> socket.socket:
        accepted, _ = self.target.accept()
        accepted.settimeout(TIMEOUT)
        self.addCleanup(accepted.close)
        return accepted

    def ask(self, server: Server, target: str, *fields: str, version: str = "1.1", behind: bytes = b"") -> Client:
        """A client that has sent a CONNECT."""
        client = self.connect(server)
        head = [f"CONNECT {target} HTTP/{version}", f"Host: {target}", *fields, "", ""]
        client.sock.sendall("\r\n".join(head).encode() + behind)
        return client

    def refused(self, server: Server, target: str, *fields: str) -> Tuple[Response, str]:
        client = self.ask(server, target, *fields)
        response, rest = client.read_response()
        body = rest + client.rest()
        client.sock.close()
        return response, body.decode()

    def tunnel(self, server: Server, target: str, *fields: str) -> Client:
        """A client with a tunnel to `target`."""
        client = self.ask(server, target, *fields)
        self.assertEqual(client.exactly(len(ESTABLISHED)), ESTABLISHED)
        return client

    def meet(self, server: Server) -> Tuple[socket.socket, socket.socket]:
        """Both ends of a tunnel."""
        client = self.tunnel(server, self.place)
        return client.sock, self.accept()

    def fill(self, sock: socket.socket) -> None:
        """Send until nobody takes anything any more."""
        sock.setblocking(False)
        while select.select([], [sock], [], 0.2)[1]:
            try:
                while True:
                    sock.send(bytes(65536))
            except BlockingIOError:
                pass

    def assertGone(self, server: Server) -> None:
        """All connections of the server have ended by themselves, with all their threads, and nothing went wrong."""
        for thread in list(server._threads):
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())
        self.assertEqual([name for name in threads() if "tunnel" in name or "connection" in name], [])
        self.assertEqual(server.errors, [])


@with_cases
class RequestTests(ProxyCase):
    """Which requests it takes, and how it answers."""

    def test_the_answer(self) -> None:
        """200 without Content-Length (RFC 9110 section 9.3.6), and the request is on record."""
        server = self.serve(opening=proxy())
        client = self.ask(server, self.place, "X-A: b")
        response, rest = client.read_response()
        self.assertEqual((response.status_code, dict(response.headers), rest), (200, {}, b""))
        (request,) = server.requests
        self.assertEqual((request.method, request.target), ("CONNECT", self.place))
        self.assertEqual(dict(request.headers), {"Host": self.place, "X-A": "b"})
        self.assertEqual(server.connections, [])

    def test_fields_that_were_added(self) -> None:
        """The answer has them."""
        server = self.serve(opening=[set_cookies({"a": "b"}), proxy()])
        response, _ = self.ask(server, self.place).read_response()
        self.assertEqual(response.headers.get_all("Set-Cookie"), ["a=b"])

    @cases(
        no_port="127.0.0.1",
        empty_port="127.0.0.1:",
        port_0="127.0.0.1:0",
        port_over_65535="127.0.0.1:65536",
        port_with_sign="127.0.0.1:+80",
        port_name="127.0.0.1:http",
        no_host=":80",
        bare_ipv6="::1:80",
        open_bracket="[::1:80",
        no_ipv6="[host]:80",
        path="/",
        url="http://127.0.0.1:80/",
        user="user@127.0.0.1:80",
    )
    def test_a_target_that_is_none(self, target: str) -> None:
        """400, and why."""
        server = self.serve(opening=proxy())
        response, body = self.refused(server, target)
        self.assertEqual((response.status_code, response.headers["Connection"]), (400, "close"))
        self.assertIn(f"'{target}' is no host:port", body)
        self.assertGone(server)

    def test_the_host(self) -> None:
        """HTTP/1.1 wants one Host field, HTTP/1.0 none (as Python's http.client sent it until 3.11)."""
        server = self.serve(opening=proxy())
        response, body = self.refused(server, self.place, "Host: other")
        self.assertEqual((response.status_code, body), (400, "there must be one Host field (RFC 9112 section 3.2)\n"))
        client = self.connect(server)
        client.sock.sendall(f"CONNECT {self.place} HTTP/1.0\r\n\r\n".encode())
        self.assertEqual(client.read_response()[0].status_code, 200)

    def test_it_is_a_websocket_server_besides(self) -> None:
        """Other methods go on to what comes behind, with the same handler as ever."""
        server = self.serve(opening=proxy())
        client = self.open(server)
        client.send("both")
        self.assertEqual(client.receive(), "both")

    def test_it_may_be_nothing_but_a_proxy(self) -> None:
        """With a 405 behind it."""
        server = self.serve(opening=[proxy(), refuse(405, headers={"Allow": "CONNECT"})])
        client = self.open(server)
        self.assertEqual((client.response.status_code, client.response.headers["Allow"]), (405, "CONNECT"))
        self.meet(server)

    def test_a_password(self) -> None:
        """Asked for by an opening before it: 407, and the tunnel with the right one."""
        for opening in (basic("user", "secret", proxy=True), digest("user", "secret", proxy=True)):
            server = self.serve(opening=[opening, proxy()])
            response, _ = self.refused(server, self.place)
            self.assertEqual(response.status_code, 407)
            self.assertIn("Proxy-Authenticate", response.headers)
        server = self.serve(opening=[basic("user", "secret", proxy=True), proxy()])
        self.tunnel(server, self.place, "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=")


@with_cases
class RouteTests(ProxyCase):
    """Where the target is, and what becomes of one that is nowhere."""

    @cases(
        name=("example.test:80", "example.test:80"),
        name_without_case=("Example.TEST:80", "example.test:80"),
        ipv4=("192.0.2.1:80", "192.0.2.1:80"),
        ipv6=("[2001:DB8::1]:80", "[2001:db8::1]:80"),
        leading_zeros=("example.test:0080", "example.test:80"),
    )
    def test_a_route(self, name: str, asked: str) -> None:
        """A name that nobody resolves leads where the test wants it, by its host and port."""
        server = self.serve(opening=proxy({name: self.place}))
        client = self.tunnel(server, asked)
        client.sock.sendall(b"here")
        self.assertEqual(exactly(self.accept(), 4), b"here")

    def test_others_are_dialled_as_they_are(self) -> None:
        """Also the same host with another port."""
        elsewhere = self.listen()
        server = self.serve(opening=proxy({"127.0.0.1:1": f"127.0.0.1:{elsewhere.getsockname()[1]}"}))
        self.meet(server)

    @unittest.skipUnless(has_ipv6(), "there is no IPv6 here")
    def test_an_ipv6_address(self) -> None:
        """In brackets, as a target and as a route."""
        self.target = self.listen("::1", socket.AF_INET6)
        place = f"[::1]:{self.target.getsockname()[1]}"
        for server, target in (
            (self.serve(opening=proxy()), place),
            (self.serve(opening=proxy({"a:1": place})), "a:1"),
        ):
            client = self.tunnel(server, target)
            client.sock.sendall(b"six")
            self.assertEqual(exactly(self.accept(), 3), b"six")

    def test_wrong_routes(self) -> None:
        """ValueError when it is made."""
        for routes in ({"example.test": "127.0.0.1:1"}, {"example.test:80": "127.0.0.1"}):
            with self.assertRaises(ValueError):
                proxy(routes)

    def test_nobody_listens(self) -> None:
        """502, and the body says where and why."""
        self.target.close()
        server = self.serve(opening=proxy({"example.test:80": self.place}))
        response, body = self.refused(server, "example.test:80")
        self.assertEqual((response.status_code, response.reason), (502, "Bad Gateway"))
        self.assertEqual(response.headers["Connection"], "close")
        self.assertRegex(body, rf"^example\.test:80 cannot be reached: {self.place}: .*refused\n$")
        self.assertGone(server)

    def look_up(self, *found: Any) -> Any:
        """Have the resolver say this of the name example.test; what is callable is called."""
        real = socket.getaddrinfo

        def getaddrinfo(host: str, *arguments: Any, **keywords: Any) -> Any:
            if host != "example.test":
                return real(host, *arguments, **keywords)
            self.assertEqual((arguments, keywords), ((80,), {"type": socket.SOCK_STREAM}))
            if callable(found[0]):
                return found[0]()
            return [(family, socket.SOCK_STREAM, 0, "", address) for family, address in found]

        return mock.patch.object(socket, "getaddrinfo", getaddrinfo)

    def test_all_addresses_are_tried(self) -> None:
        """In their order; the first that answers is it."""
        gone = self.listen()
        addresses = [gone.getsockname(), self.target.getsockname(), ("127.0.0.1", 1)]
        gone.close()
        with self.look_up(*((socket.AF_INET, address) for address in addresses)):
            self.tunnel(self.serve(opening=proxy()), "example.test:80")
        self.accept()

    def test_all_addresses_fail(self) -> None:
        """The body has what became of each, those too that fail at once or cannot even be tried."""
        server = self.serve(opening=proxy())
        nowhere = [(socket.AF_INET, ("127.0.0.1", 9)), (socket.AF_INET6, ("::1", 9, 0, 0)), (9999, ("x", 9))]
        with self.look_up(*nowhere), mock.patch.object(socket.socket, "connect_ex", return_value=errno.ENETUNREACH):
            _, body = self.refused(server, "example.test:80")
        self.assertRegex(body, r": 127\.0\.0\.1:9: [^;]+; \[::1\]:9: [^;]+; x:9: [^;]+\n$")
        self.assertGone(server)

    def test_a_name_that_cannot_be_resolved(self) -> None:
        """Whatever the resolver says."""
        server = self.serve(opening=proxy())
        for error in (socket.gaierror(socket.EAI_NONAME, "unknown name"), UnicodeError("label too long")):
            with self.look_up(mock.Mock(side_effect=error)):
                response, body = self.refused(server, "example.test:80")
            self.assertEqual(response.status_code, 502)
            self.assertIn("example.test:80 cannot be reached: the name could not be resolved: ", body)
            self.assertIn(str(error), body)

    def test_dialling_takes_too_long(self) -> None:
        """502 after `timeout` seconds, the resolver's included."""
        with mock.patch.object(module, "wait_for", return_value=(set(), set())):
            response, body = self.refused(self.serve(opening=proxy(timeout=0.01)), self.place)
        self.assertEqual(response.status_code, 502)
        self.assertIn(f"{self.place}: no answer within 0.01 seconds", body)
        release = threading.Event()
        self.addCleanup(release.set)
        with self.look_up(lambda: release.wait(TIMEOUT)):
            response, body = self.refused(self.serve(opening=proxy(timeout=0.01)), "example.test:80")
        self.assertEqual(body, "example.test:80 cannot be reached: no answer within 0.01 seconds\n")

    def test_the_server_is_closed_while_dialling(self) -> None:
        """Nobody waits for a target that nobody wants any more, and no socket is left."""
        dialling = threading.Event()
        sockets: List[socket.socket] = []

        def wait_for(read: object, write: List[socket.socket], timeout: float) -> Tuple[Any, Any]:
            sockets.extend(write)
            dialling.set()
            return set(), set()

        server = self.serve(opening=proxy(timeout=TIMEOUT))
        with mock.patch.object(module, "wait_for", wait_for):
            client = self.ask(server, self.place)
            self.assertTrue(dialling.wait(TIMEOUT))
            server.close()
            self.assertEqual(threads(), [])
        self.assertEqual(client.rest(), b"")
        self.assertEqual({sock.fileno() for sock in sockets}, {-1})
        self.assertGone(server)


@with_cases
class TunnelTests(ProxyCase):
    """The bytes."""

    THERE = bytes(range(256)) * (SIZE // 256)
    BACK = bytes(range(255, -1, -1)) * (SIZE // 256)

    def exchange(self, sock: socket.socket, data: bytes) -> bytes:
        sending = Running(lambda: sock.sendall(data))
        received = exactly(sock, SIZE)
        sending.result()
        return received

    def test_megabytes_both_ways_at_once(self) -> None:
        """Byte for byte, and neither direction waits for the other."""
        client, target = self.meet(self.serve(opening=proxy()))
        far_end = Running(lambda: self.exchange(target, self.BACK))
        self.assertTrue(self.exchange(client, self.THERE) == self.BACK, "the client has got something else")
        self.assertTrue(far_end.result() == self.THERE, "the target has got something else")

    @needs_trustme
    def test_the_same_over_tls(self) -> None:
        """The way to the proxy is encrypted, the target is a bare socket."""
        server = self.serve(opening=proxy(), tls=True)
        sock = socket.create_connection(("127.0.0.1", parse_url(server.url).port), TIMEOUT)
        self.addCleanup(sock.close)
        client = OverTLS(sock, ssl.create_default_context(cafile=server.ca_file), "localhost")
        client.sendall(f"CONNECT {self.place} HTTP/1.0\r\n\r\n".encode())
        self.assertEqual(client.recv(len(ESTABLISHED)), ESTABLISHED)
        target = self.accept()
        far_end = Running(lambda: self.exchange(target, self.BACK))
        self.assertTrue(client.exchange(self.THERE, SIZE) == self.BACK, "the client has got something else")
        self.assertTrue(far_end.result() == self.THERE, "the target has got something else")

    def test_one_direction_stuck(self) -> None:
        """While the target reads nothing, what it sends arrives."""
        client, target = self.meet(self.serve(opening=proxy()))
        self.fill(client)
        client.setblocking(True)
        target.sendall(b"x" * SIZE)
        self.assertEqual(len(exactly(client, SIZE)), SIZE)

    def test_bytes_that_came_with_the_request(self) -> None:
        """They are the first of the tunnel's."""
        server = self.serve(opening=proxy())
        client = self.ask(server, self.place, behind=b"early")
        client.exactly(len(ESTABLISHED))
        client.sock.sendall(b" and late")
        self.assertEqual(exactly(self.accept(), 14), b"early and late")

    @cases(plain=False, tls=True)
    def test_the_target_ends_first(self, tls: bool) -> None:
        """The client learns of it, and can still send until it ends as well."""
        server = self.serve_tunnel(tls)
        client, target = self.meet(server)
        target.sendall(b"last words")
        target.shutdown(socket.SHUT_WR)
        self.assertEqual(exactly(client, 100), b"last words")
        for words in (b"still", b"here"):
            client.sendall(words)
            self.assertEqual(exactly(target, len(words)), words)
        client.close()
        self.assertEqual(exactly(target, 1), b"")
        self.assertGone(server)

    @cases(plain=False, tls=True)
    def test_the_client_ends_first(self, tls: bool) -> None:
        """The target learns of it, and can still send; a TLS client that cuts TCP like this one reads no more."""
        server = self.serve_tunnel(tls)
        client, target = self.meet(server)
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(exactly(target, 100), b"last words")
        target.sendall(b"still here")
        target.close()
        if not tls:
            self.assertEqual(exactly(client, 100), b"still here")
        client.close()
        self.assertGone(server)

    def serve_tunnel(self, tls: bool) -> Server:
        if tls and not importlib.util.find_spec("trustme"):
            self.skipTest("trustme is not installed")
        return self.serve(opening=proxy(), tls=tls)

    def test_a_reset_of_the_client(self) -> None:
        """It is passed on."""
        server = self.serve(opening=proxy())
        client, target = self.meet(server)
        reset(client)
        self.assertRaises(ConnectionResetError, target.recv, 1)
        self.assertGone(server)

    def test_a_reset_of_the_target(self) -> None:
        """It is passed on."""
        server = self.serve(opening=proxy())
        client, target = self.meet(server)
        reset(target)
        self.assertRaises(ConnectionResetError, client.recv, 1)
        self.assertGone(server)

    def test_faults_reach_into_the_tunnel(self) -> None:
        """What goes to the client is divided and cut like everything else, by an opening before."""

        def cut(connection: ServerConnection) -> None:
            connection.in_pieces(3)
            connection.cut_after(len(ESTABLISHED) + 5)

        server = self.serve(opening=[cut, proxy()])
        client, target = self.meet(server)
        target.sendall(b"too much")
        self.assertEqual(exactly(client, 100), b"too m")
        self.assertEqual(exactly(target, 1), b"")
        self.assertGone(server)

    @cases(drop=False, reset=True)
    def test_a_cut_that_the_reading_thread_finds(self, reset: bool) -> None:
        """It is carried out by that thread."""

        def cut(connection: ServerConnection) -> None:
            def read() -> bytes:
                connection._wire.shape(lambda outgoing: outgoing.cut_after(0, reset))
                raise CutReached(reset)

            patched = mock.patch.object(connection._wire, "read", read)
            patched.start()
            self.addCleanup(patched.stop)

        server = self.serve(opening=[cut, proxy()])
        client = self.ask(server, self.place)
        target = self.accept()
        if reset:
            with self.assertRaises(ConnectionResetError):
                client.rest()
        else:
            self.assertEqual(client.rest(), ESTABLISHED)
        self.assertEqual(exactly(target, 1), b"")
        self.assertGone(server)


class EndTests(ProxyCase):
    """The server is closed, and nothing is left."""

    def close(self, server: Server, client: socket.socket, target: socket.socket) -> None:
        server.close()
        self.assertGone(server)
        self.assertEqual(threads(), [])

    def test_while_both_are_silent(self) -> None:
        """Both ends learn of it."""
        server = self.serve(opening=proxy())
        client, target = self.meet(server)
        self.close(server, client, target)
        self.assertEqual((exactly(client, 1), exactly(target, 1)), (b"", b""))

    def test_while_both_are_stuck(self) -> None:
        """Neither reads, and both have sent more than there is room for."""
        server = self.serve(opening=proxy())
        client, target = self.meet(server)
        for sock in (client, target):
            self.fill(sock)
        self.close(server, client, target)

    def test_while_one_has_ended(self) -> None:
        """And the other is silent."""
        for first in (0, 1):
            server = self.serve(opening=proxy())
            ends = self.meet(server)
            ends[first].shutdown(socket.SHUT_WR)
            self.assertEqual(exactly(ends[1 - first], 1), b"")
            self.close(server, *ends)
            self.assertEqual(exactly(ends[first], 1), b"")

    def test_before_the_answer(self) -> None:
        """Where the client is lost when its target has been reached, there is no tunnel."""

        def lose(connection: ServerConnection) -> None:
            real = connection.send_raw

            def send_raw(data: bytes) -> None:
                connection.abort()
                real(data)

            patched = mock.patch.object(connection, "send_raw", send_raw)
            patched.start()
            self.addCleanup(patched.stop)

        server = self.serve(opening=[lose, proxy()])
        client = self.ask(server, self.place)
        with self.assertRaises(ConnectionResetError):
            client.rest()
        self.assertEqual(exactly(self.accept(), 1), b"")
        self.assertGone(server)

    def test_a_hundred_tunnels(self) -> None:
        """No descriptor and no thread is left of them, however they ended."""
        before = None
        for number in range(100):
            with Server(opening=proxy()) as server:
                client = Client(server)
                client.sock.sendall(f"CONNECT {self.place} HTTP/1.0\r\n\r\n".encode())
                client.exactly(len(ESTABLISHED))
                target, _ = self.target.accept()
                if number % 3 == 0:
                    client.sock.close()
                elif number % 3 == 1:
                    reset(target)
            client.sock.close()
            target.close()
            self.assertEqual(threads(), [])
            number_of_files = len(descriptors())
            before = number_of_files if before is None else before
            self.assertEqual(number_of_files, before)


def descriptors() -> List[str]:
    os = importlib.import_module("os")
    return list(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []


@with_cases
class WebSocketTests(ProxyCase):
    """A WebSocket to a second server through the tunnel."""

    def converse(self, client: Client, target: Server) -> None:
        client.url = parse_url(target.url)
        client.upgrade()
        self.assertIsInstance(client.verdict, Accepted)
        for message in ("text", bytes(100_000)):
            client.send(message)
            self.assertEqual(client.receive(), message)
        client.close(1000)
        self.assertEqual(client.receive(), Close(1000, None))
        target.close()
        self.assertEqual((target.connections[0].close_code, target.errors), (1000, []))

    def test_ws(self) -> None:
        """Everything is as if there were no proxy, the end too."""
        target = self.serve(echo)
        server = self.serve(opening=proxy())
        client = self.tunnel(server, host_and_port(target.url))
        self.converse(client, target)
        self.assertRaises(EOFError, client.receive)
        client.sock.close()
        self.assertGone(server)

    @needs_trustme
    def test_ws_through_a_proxy_with_tls(self) -> None:
        """Encrypted to the proxy, in the open from there."""
        target = self.serve(echo)
        server = self.serve(opening=proxy(), tls=True)
        self.converse(self.tunnel(server, host_and_port(target.url)), target)

    @needs_trustme
    @cases(proxy_without_tls=False, proxy_with_tls=True)
    def test_wss(self, tls: bool) -> None:
        """TLS to the target within the tunnel, and within the TLS of the proxy."""
        target = self.serve(echo, tls=True)
        server = self.serve(opening=proxy({"example.test:443": host_and_port(target.url)}), tls=tls)
        client = self.tunnel(server, "example.test:443")
        context = ssl.create_default_context(cafile=target.ca_file)
        client.sock = OverTLS(client.sock, context, "localhost")  # type: ignore[assignment]  # enough of a socket
        self.converse(client, target)

    def test_a_server_may_be_its_own_target(self) -> None:
        """It is proxy and WebSocket server at once."""
        server = self.serve(opening=proxy())
        self.converse(self.tunnel(server, host_and_port(server.url)), server)
        self.assertEqual([request.method for request in server.requests], ["CONNECT", "GET"])


@needs_trustme
class UrllibTests(ProxyCase):
    """`urllib.request` of the standard library, which makes a tunnel for https."""

    def test_https(self) -> None:
        """A page through the proxy, after its password was asked for."""
        target = self.serve(opening=WELCOME, tls=True)
        server = self.serve(opening=[basic("user", "secret", proxy=True), proxy()])
        self.assertEqual(self.fetch(target, f"http://user:secret@{host_and_port(server.url)}"), b"welcome")
        with self.assertRaisesRegex(OSError, "407"):
            self.fetch(target, f"http://user:guess@{host_and_port(server.url)}")
        self.assertEqual(len(target.requests), 1)

    def fetch(self, target: Server, place: str) -> bytes:
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"https": place}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=target.ca_file)),
        )
        with opener.open(f"https://{host_and_port(target.url)}/", timeout=TIMEOUT) as got:
            content: bytes = got.read()
        return content


@needs_curl
@with_cases
class CurlTests(ProxyCase):
    """curl."""

    def fetch(self, *options: str) -> Tuple[str, bytes]:
        command = ["curl", "--silent", "--noproxy", "", "--max-time", f"{TIMEOUT}", "--proxytunnel"]
        codes = ["--write-out", "%{http_connect} %{http_code}"]
        done = subprocess.run([*command, *codes, *options], stdout=subprocess.PIPE, timeout=2 * TIMEOUT, check=False)
        return done.stdout[-7:].decode(), done.stdout[:-7]

    @cases(
        no_password={},
        basic={"opening": basic("user", "secret", proxy=True)},
        digest={"opening": digest("user", "secret", proxy=True)},
        digest_md5={"opening": digest("user", "secret", algorithm="MD5", proxy=True)},
    )
    def test_a_page(self, choices: Dict[str, Any]) -> None:
        """Through the tunnel, with the password if one is asked for."""
        target = self.serve(opening=WELCOME)
        server = self.serve(opening=[*choices.values(), proxy()])
        options = ["--proxy", f"http://{host_and_port(server.url)}", "--proxy-anyauth"]
        codes, body = self.fetch(*options, "--proxy-user", "user:secret", f"http://{host_and_port(target.url)}/")
        self.assertEqual((codes, body), ("200 200", b"welcome"))
        if choices:
            codes, _ = self.fetch(*options, "--proxy-user", "user:guess", f"http://{host_and_port(target.url)}/")
            self.assertEqual(codes, "407 000")

    @needs_trustme
    def test_a_page_with_tls_in_tls(self) -> None:
        """Both the proxy and the target speak TLS."""
        target = self.serve(opening=WELCOME, tls=True)
        server = self.serve(opening=proxy(), tls=True)
        assert target.ca_file is not None and server.ca_file is not None
        place = ["--proxy", f"https://{host_and_port(server.url)}", "--proxy-cacert", server.ca_file]
        codes, body = self.fetch(*place, "--cacert", target.ca_file, f"https://{host_and_port(target.url)}/")
        self.assertEqual((codes, body), ("200 200", b"welcome"))

    def test_a_target_that_refuses(self) -> None:
        """It is told 502."""
        self.target.close()
        server = self.serve(opening=proxy())
        codes, _ = self.fetch("--proxy", f"http://{host_and_port(server.url)}", f"http://{self.place}/")
        self.assertEqual(codes, "502 000")


class WrongTypeTests(unittest.TestCase):
    """Routes that are none."""

    def test_is_refused(self) -> None:
        """TypeError when the opening is made."""
        wrong: List[Any] = [{"a:80": 80}, {80: "a:80"}, "a:80", 5]
        for routes in wrong:
            with self.subTest(routes), self.assertRaisesRegex(TypeError, "routes? (are|leads)"):
                proxy(routes)


if __name__ == "__main__":
    unittest.main()

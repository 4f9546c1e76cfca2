"""Tests of `wssync.transport.tls_stream` with sockets and threads, switched as often as Python can.

What each of its functions does is tested without them, in `test_tls_stream`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import unittest
from queue import Queue
from typing import List, Optional, Tuple

from tests.support import cases, with_cases
from tests.transport.support import (
    PATIENCE,
    Running,
    TransportTestCase,
    bombard,
    client_context,
    leaf,
    server_context,
)
from wssync.transport.stream import Stream, TCPStream
from wssync.transport.tls_stream import TLSStream

OPENSSL_SERVER = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-tls1_3"]
OPENSSL_SERVER += ["-msg", "-msgfile", "/dev/stderr"]  # the handshake messages go there

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class SocketTestCase(TransportTestCase):
    """TLS streams over loopback."""

    def tls_streams(self, version: Optional[ssl.TLSVersion] = None) -> Tuple[TLSStream, TLSStream]:
        left, right = self.sockets()
        client_attempt, server_attempt = self.attempt(), self.attempt()
        client = TLSStream(TCPStream(left, client_attempt.waker), client_context(), "localhost")
        server = TLSStream(
            TCPStream(right, server_attempt.waker), server_context(version=version), None, server_side=True
        )
        shaking = Running(lambda: server.handshake(server_attempt))
        client.handshake(client_attempt)
        shaking.result()
        return client, server


def write_all(stream: Stream, data: bytes, sizes: random.Random) -> None:
    """The writing thread: odd sizes, and whatever the reading thread has to say."""
    view = memoryview(data)
    while view:
        taken = stream.send(view[: sizes.choice((1, 100, 5000, 65536, 200_000))])
        view = view[taken:]
        if not taken:
            stream.wait(False, True, PATIENCE, owner=False)
    finish(stream)


def finish(stream: Stream) -> None:
    while not stream.flush():
        stream.wait(False, True, PATIENCE, owner=False)


def read_digest(stream: Stream, size: int) -> str:
    """The reading thread."""
    digest = hashlib.sha256()
    while size > 0:
        data = stream.recv(65536)
        if data is None:
            stream.wait(True, False, PATIENCE)
        elif not data:
            raise AssertionError(f"the stream ended {size} bytes early")
        else:
            digest.update(data)
            size -= len(data)
    return digest.hexdigest()


@with_cases
class StressTests(SocketTestCase):
    """Both directions at once with threads, switched as often as Python can."""

    def setUp(self) -> None:
        super().setUp()
        interval = sys.getswitchinterval()
        self.addCleanup(sys.setswitchinterval, interval)
        sys.setswitchinterval(1e-6)

    @cases(tls_1_2=(TLS_1_2,), tls_1_3=(TLS_1_3,))
    def test_full_duplex(self, version: ssl.TLSVersion) -> None:
        """One reading and one writing thread on each end, 3 MiB each way: every byte arrives, in order."""
        ends = self.tls_streams(version)
        data = [random.Random(seed).randbytes(3 << 20) for seed in (4, 5)]
        writers = [
            Running(functools.partial(write_all, stream, text, random.Random(6))) for stream, text in zip(ends, data)
        ]
        readers = [Running(functools.partial(read_digest, stream, 3 << 20)) for stream in ends]
        for writer in writers:
            writer.result()
        digests = [hashlib.sha256(text).hexdigest() for text in reversed(data)]
        self.assertEqual([reader.result() for reader in readers], digests)
        self.assertEqual(ends[0].ssl_object.version(), {TLS_1_2: "TLSv1.2", TLS_1_3: "TLSv1.3"}[version])

    @cases(tls_1_2=(TLS_1_2,), tls_1_3=(TLS_1_3,))
    def test_an_echo_by_the_ssl_modules_own_socket(self, version: ssl.TLSVersion) -> None:
        """Against a peer that is an `ssl.SSLSocket` (in one thread) 2 MiB come back as they went."""
        left, right = self.sockets()
        size = 2 << 20

        def echo() -> None:
            with server_context(version=version).wrap_socket(right, server_side=True) as peer:
                left_over = size
                while left_over:
                    data = peer.recv(65536)
                    peer.sendall(data)
                    left_over -= len(data)

        echoing = Running(echo)
        attempt = self.attempt()
        stream = TLSStream(TCPStream(left, attempt.waker), client_context(), "localhost")
        stream.handshake(attempt)
        data = random.Random(7).randbytes(size)
        writer = Running(lambda: write_all(stream, data, random.Random(8)))
        self.assertEqual(read_digest(stream, size), hashlib.sha256(data).hexdigest())
        writer.result()
        echoing.result()

    def test_tls_within_tls(self) -> None:
        """A TLS stream over a TLS stream (a server through a TLS proxy) carries both directions at once."""
        outer_ends = self.tls_streams()
        attempts = self.attempt(), self.attempt()
        client = TLSStream(outer_ends[0], client_context(), "localhost")
        server = TLSStream(outer_ends[1], server_context(), None, server_side=True)
        shaking = Running(lambda: server.handshake(attempts[1]))
        client.handshake(attempts[0])
        shaking.result()
        size = 1 << 20
        data = random.Random(9).randbytes(size)
        writers = [
            Running(functools.partial(write_all, stream, data, random.Random(10))) for stream in (client, server)
        ]
        readers = [Running(functools.partial(read_digest, stream, size)) for stream in (client, server)]
        for writer in writers:
            writer.result()
        self.assertEqual([reader.result() for reader in readers], [hashlib.sha256(data).hexdigest()] * 2)

    def test_closing_the_write_side_while_the_other_thread_reads(self) -> None:
        """`shutdown_write` in the middle of a flood that comes in loses nothing of it, and the end comes last."""
        client, server = self.tls_streams()
        size = 1 << 20
        data = random.Random(11).randbytes(size)

        def serve() -> None:
            write_all(server, data, random.Random(12))
            server.shutdown_write()

        started = threading.Event()

        def close() -> None:
            started.wait(PATIENCE)
            client.shutdown_write()

        serving, closing = Running(serve), Running(close)
        digest = hashlib.sha256()
        left_over = size
        while left_over:
            received = client.recv(3000)
            if received is None:
                client.wait(True, False, PATIENCE)
            else:
                self.assertTrue(received, "ended early")
                digest.update(received)
                left_over -= len(received)
                if left_over < size // 2:
                    started.set()
        serving.result()
        closing.result()
        self.assertEqual(digest.hexdigest(), hashlib.sha256(data).hexdigest())
        end = client.recv(3000)
        while end is None:
            client.wait(True, False, PATIENCE)
            end = client.recv(3000)
        self.assertEqual(end, b"")

    @unittest.skipUnless(shutil.which("openssl") and os.path.exists("/dev/stderr"), "no openssl program")
    def test_key_updates_during_a_flood(self) -> None:
        """A server that asks for new keys again and again while data flows gets its answers, in the right places."""
        certificate = leaf("localhost", "127.0.0.1", "::1")
        with (
            certificate.private_key_and_cert_chain_pem.tempfile() as pem,
            subprocess.Popen(
                [*OPENSSL_SERVER, "-cert", pem, "-key", pem],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ) as server,
        ):
            try:
                self.flood(server)
            finally:
                server.kill()

    def flood(self, server: subprocess.Popen[bytes]) -> None:
        commands, output, protocol = server.stdin, server.stdout, server.stderr
        assert commands is not None and output is not None and protocol is not None
        printed: List[bytes] = []
        ports: Queue[int] = Queue()
        updates: Queue[bytes] = Queue()
        answers: List[bytes] = []
        pongs: Queue[bytes] = Queue()

        def watch_output() -> None:
            for line in output:
                printed.append(line)
                for port in re.findall(rb"ACCEPT .*:(\d+)$", line):
                    ports.put(int(port))

        def watch_protocol() -> None:
            for line in protocol:
                if b"KeyUpdate" in line:
                    (answers.append if line.startswith(b"<<<") else updates.put)(line)

        def order(line: bytes) -> None:
            commands.write(line)
            commands.flush()

        watchers = Running(watch_output), Running(watch_protocol)
        sock = socket.create_connection(("127.0.0.1", ports.get(timeout=PATIENCE)), PATIENCE)
        self.addCleanup(sock.close)
        attempt = self.attempt()
        stream = TLSStream(TCPStream(sock, attempt.waker), client_context(), "localhost")
        stream.handshake(attempt)

        def read() -> None:
            while True:
                data = stream.recv(65536)
                if data:
                    pongs.put(data)
                elif data is None:
                    stream.wait(True, False, PATIENCE)
                else:
                    break

        rounds = 10
        lines = b"".join(b"%06d %s\n" % (number, b"x" * 50) for number in range(1000))
        reader = Running(read)
        writer = Running(lambda: write_all(stream, lines * rounds, random.Random(13)))
        for _ in range(rounds):
            # It reads its orders by the pipe-full: one after the other.
            order(b"K\n")
            updates.get(timeout=PATIENCE)
            order(b"pong\n")
            self.assertEqual(pongs.get(timeout=PATIENCE), b"pong\n")
        writer.result()
        write_all(stream, b"the end\n", random.Random(14))
        stream.shutdown_write()
        reader.result()
        for watcher in watchers:
            watcher.result()
        # Its remarks stand even within a line.
        text = re.sub(rb"SSL_do_handshake -> 1\n|Read BLOCK\n", b"", b"".join(printed))
        self.assertTrue(lines * rounds + b"the end\n" in text, "not in order")
        self.assertGreater(len(answers), 0)

    @unittest.skipUnless(hasattr(signal, "setitimer"), "needs a timer signal")
    @unittest.skipIf(sys.version_info < (3, 10), "3.9 looks for signals between any two instructions")
    def test_exceptions_from_outside_lose_nothing_in_silence(self) -> None:
        """However often Ctrl-C hits a thread that reads, bytes arrive once and in order, or the connection is lost."""
        for _ in range(5):
            client, server = self.tls_streams()
            error = bombard(self, client, server, 0.1)
            if error is not None:
                self.assertIsInstance(error.__cause__, InterruptedError)


if __name__ == "__main__":
    unittest.main()

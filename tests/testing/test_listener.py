"""Tests of `wssync.testing.listener`."""

from __future__ import annotations

import errno
import os
import socket
import threading
import unittest
from typing import Callable, List
from unittest import mock

from wssync.testing import listener as module
from wssync.testing.listener import BACKLOG, Listener, Welcome
from wssync.transport.waiting import wait_for

from ..threads import Running
from .client import TIMEOUT, ServerCase


class ListenerCase(ServerCase):
    """A listener, and the sockets it has handed on."""

    def setUp(self) -> None:
        super().setUp()
        self.changed = threading.Condition()
        self.served: List[socket.socket] = []
        self.ignored: List[socket.socket] = []
        self.listener = Listener(0, self.keep(self.served), self.keep(self.ignored))
        self.addCleanup(self.end)

    def keep(self, where: List[socket.socket]) -> Callable[[socket.socket], None]:
        def take(sock: socket.socket) -> None:
            self.addCleanup(sock.close)
            sock.settimeout(TIMEOUT)
            with self.changed:
                where.append(sock)
                self.changed.notify_all()

        return take

    def end(self) -> None:
        self.listener.close()
        if self.listener.thread.ident is None:
            self.listener.thread.start()
        self.listener.thread.join(TIMEOUT)
        self.assertFalse(self.listener.thread.is_alive())

    def dial(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.listener.port), TIMEOUT)
        self.addCleanup(sock.close)
        return sock

    def assertTaken(self, where: List[socket.socket], client: socket.socket) -> None:
        """The other end of `client` comes to this list."""

        def is_there() -> bool:
            return any(sock.getpeername() == client.getsockname() for sock in where)

        with self.changed:
            self.assertTrue(self.changed.wait_for(is_there, TIMEOUT))

    def assertRefused(self) -> None:
        with self.assertRaises(ConnectionRefusedError):
            self.dial()


class WelcomeTests(ListenerCase):
    """What becomes of those who connect."""

    def test_at_first_they_are_served(self) -> None:
        """Those too who came before the thread was started."""
        early = self.dial()
        self.listener.thread.start()
        self.assertTaken(self.served, early)
        self.assertTaken(self.served, self.dial())
        self.assertEqual(self.ignored, [])

    def test_the_ignored_go_elsewhere(self) -> None:
        """Until they are served again."""
        self.listener.thread.start()
        for _ in range(2):
            self.listener.change(Welcome.IGNORE)
            self.assertTaken(self.ignored, self.dial())
        self.listener.change(Welcome.SERVE)
        self.assertTaken(self.served, self.dial())
        self.assertEqual((len(self.served), len(self.ignored)), (1, 2))

    def test_the_refused_do_not_connect(self) -> None:
        """TCP refuses them, until they are served or ignored again, on the same port; asking twice changes nothing."""
        self.listener.thread.start()
        for way, where in ((Welcome.SERVE, self.served), (Welcome.IGNORE, self.ignored)):
            for _ in range(2):
                self.listener.change(Welcome.REFUSE)
                self.assertRefused()
            self.listener.change(way)
            self.assertTaken(where, self.dial())

    def test_who_had_connected_before_is_treated_in_the_old_way(self) -> None:
        """The kernel has completed such a connection already: it is in its queue when the order comes."""
        early = [self.dial() for _ in range(BACKLOG)]
        self.listener.thread.start()
        self.listener.change(Welcome.REFUSE)
        for client in early:
            self.assertTaken(self.served, client)
        self.listener.change(Welcome.SERVE)
        self.listener.change(Welcome.IGNORE)
        self.assertTaken(self.ignored, self.dial())
        self.assertEqual((len(self.served), len(self.ignored)), (BACKLOG, 1))

    def test_an_order_does_not_overtake_who_was_there_before(self) -> None:
        """Who connects just after the queue was emptied, and before the order is given, is still served."""
        accept_all = self.listener._accept_all
        early: List[socket.socket] = []
        ordering: List[Running[None]] = []

        def accept_and_be_late() -> None:
            accept_all()
            if not early:
                early.append(self.dial())
                ordering.append(Running(lambda: self.listener.change(Welcome.REFUSE)))
                wait_for([self.listener._waker], [], TIMEOUT)  # the order is there

        with mock.patch.object(self.listener, "_accept_all", accept_and_be_late):
            self.listener.thread.start()
            self.assertTaken(self.served, self.dial())
            with self.changed:
                self.assertTrue(self.changed.wait_for(lambda: len(self.served) == 2, TIMEOUT))
            ordering[0].result()
        self.assertTaken(self.served, early[0])
        self.assertRefused()

    def test_closing_does_not_wait_for_the_queue(self) -> None:
        """Whoever still stands in it then is not taken any more: that would be a thread's start for each of them."""
        for _ in range(3):
            self.dial()
        take = self.listener._takers[Welcome.SERVE]

        def take_the_last(sock: socket.socket) -> None:
            take(sock)
            self.listener.close()

        self.listener._takers[Welcome.SERVE] = take_the_last
        self.listener.thread.start()
        self.listener.thread.join(TIMEOUT)
        self.assertEqual(len(self.served), 1)

    def test_what_was_never_started_is_discarded(self) -> None:
        """The port and the waker are given back; a listener whose thread runs does that by itself."""
        unused = Listener(0, self.keep(self.served), self.keep(self.ignored))
        unused.discard()
        self.assertEqual((unused._socket.fileno(), unused._waker.fileno()), (-1, -1))
        self.listener.thread.start()
        self.listener.discard()
        self.assertTaken(self.served, self.dial())

    def test_a_crowd_does_not_hold_up_an_order(self) -> None:
        """The thread looks after its orders before it has accepted everybody, and accepts the others afterwards."""
        early = [self.dial() for _ in range(10)]
        with mock.patch.object(module, "BACKLOG", 1):
            self.listener.thread.start()
            for client in early:
                self.assertTaken(self.served, client)

    def test_open_connections_are_untouched(self) -> None:
        """They can still be used while others are refused, and the port comes back in spite of them."""
        self.listener.thread.start()
        client = self.dial()
        self.assertTaken(self.served, client)
        for way in (Welcome.REFUSE, Welcome.SERVE, Welcome.REFUSE, Welcome.IGNORE, Welcome.SERVE):
            self.listener.change(way)
            client.sendall(b"?")
            self.assertEqual(self.served[0].recv(1), b"?")
            self.served[0].sendall(b"!")
            self.assertEqual(client.recv(1), b"!")

    def test_the_port_stays_its_own_while_it_refuses(self) -> None:
        """Nobody else can have it, neither by asking for it nor by accident."""
        self.listener.thread.start()
        self.listener.change(Welcome.REFUSE)
        with self.assertRaises(OSError) as caught, socket.socket() as other:
            other.bind(("127.0.0.1", self.listener.port))
        self.assertEqual(caught.exception.errno, errno.EADDRINUSE)

    def test_the_thread_sleeps_when_there_is_nothing_to_do(self) -> None:
        """An order that was carried out does not wake it again and again, nor does a port that refuses."""
        with mock.patch("wssync.testing.listener.wait_for", wraps=wait_for) as waited:
            self.listener.thread.start()
            for way in Welcome:
                self.listener.change(way)
                threading.Event().wait(0.02)
        self.assertLess(waited.call_count, 15)

    def test_an_order_waits_for_the_one_before(self) -> None:
        """None is overwritten while the thread is busy with something else."""
        busy, ordered, wake = threading.Event(), threading.Event(), self.listener._waker.wake
        carried_out = mock.Mock(wraps=self.listener._change)

        def tell() -> None:
            wake()
            ordered.set()

        def take(sock: socket.socket) -> None:
            busy.wait(TIMEOUT)
            sock.close()

        self.listener._takers[Welcome.SERVE] = take
        tells = mock.patch.object(self.listener._waker, "wake", tell)
        with mock.patch.object(self.listener, "_change", carried_out), tells:
            self.listener.thread.start()
            self.dial()
            first = Running(lambda: self.listener.change(Welcome.IGNORE))
            self.assertTrue(ordered.wait(TIMEOUT))
            second = Running(lambda: self.listener.change(Welcome.REFUSE))
            second.thread.join(0.02)
            busy.set()
            first.result()
            second.result()
        self.assertEqual(carried_out.mock_calls, [mock.call(Welcome.IGNORE), mock.call(Welcome.REFUSE)])

    def test_many_threads_give_orders(self) -> None:
        """One after the other, and each has its order carried out."""
        self.listener.thread.start()

        def order() -> None:
            for _ in range(20):
                for way in Welcome:
                    self.listener.change(way)

        for running in [Running(order) for _ in range(4)]:
            running.result()
        self.listener.change(Welcome.SERVE)
        self.assertTaken(self.served, self.dial())


class TroubleTests(ListenerCase):
    """What goes wrong below."""

    def test_a_taken_port_is_an_error_and_leaves_nothing(self) -> None:
        """OSError from the start, no socket and no thread."""
        before = threading.active_count()
        sockets: List[socket.socket] = []
        real = socket.socket

        def make(*arguments: object) -> socket.socket:
            sockets.append(real(*arguments))  # type: ignore[arg-type]  # as the module calls it
            return sockets[-1]

        with mock.patch.object(socket, "socket", make), self.assertRaises(OSError) as caught:
            Listener(self.listener.port, mock.Mock(), mock.Mock())
        self.assertEqual(caught.exception.errno, errno.EADDRINUSE)
        self.assertEqual([sock.fileno() for sock in sockets], [-1])
        self.assertEqual(threading.active_count(), before)

    def test_a_failing_accept_does_not_end_it(self) -> None:
        """The client may be gone again, or the descriptors may be used up; the next one is taken."""
        real, failures = socket.socket.accept, [OSError(errno.EMFILE, "no more"), ConnectionAbortedError()]

        def accept(sock: socket.socket) -> object:
            if failures:
                raise failures.pop()
            return real(sock)

        with mock.patch.object(socket.socket, "accept", accept):
            self.listener.thread.start()
            self.assertTaken(self.served, self.dial())
        self.assertEqual(failures, [])

    def test_a_socket_that_nobody_takes_is_closed(self) -> None:
        """Then whoever connected is hung up on."""
        taken = self.keep(self.served)
        takers = mock.Mock(side_effect=[OSError("no thanks"), RuntimeError("can't start new thread"), None])

        def take(sock: socket.socket) -> None:
            takers()
            taken(sock)

        self.listener._takers[Welcome.SERVE] = take
        self.listener.thread.start()
        for _ in range(2):
            self.assertEqual(self.dial().recv(1), b"")
        self.assertTaken(self.served, self.dial())

    def test_a_port_that_is_lost_is_an_error(self) -> None:
        """Whoever gave the order gets it; who connects is refused, until the port can be had again."""
        self.listener.thread.start()
        real, failures = module._bind, [OSError(errno.EADDRINUSE, "taken"), OSError(errno.EADDRINUSE, "still taken")]

        def bind(port: int) -> socket.socket:
            if failures:
                raise failures.pop()
            return real(port)

        with mock.patch.object(module, "_bind", bind):
            with self.assertRaisesRegex(OSError, "still taken"):
                self.listener.change(Welcome.REFUSE)
            self.assertRefused()
            with self.assertRaisesRegex(OSError, "taken"):
                self.listener.change(Welcome.SERVE)
            self.listener.change(Welcome.SERVE)
        self.assertTaken(self.served, self.dial())

    def test_on_windows_no_port_is_shared(self) -> None:
        """There the option that lets a port be used again lets anybody share it."""
        for name, expected in (("nt", 0), ("posix", 1)):
            with mock.patch.object(os, "name", name):
                sock = module._bind(0)
            self.assertEqual(bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)), bool(expected))
            sock.close()


class EndTests(ListenerCase):
    """How it is over."""

    def test_closing_gives_everything_back(self) -> None:
        """In each of its ways: the thread ends, and nobody can connect."""
        for way in Welcome:
            with self.subTest(way=way):
                listener = Listener(0, mock.Mock(), mock.Mock())
                listener.thread.start()
                listener.change(way)
                listener.close()
                listener.thread.join(TIMEOUT)
                self.assertFalse(listener.thread.is_alive())
                self.assertEqual((listener._socket.fileno(), listener._waker.fileno()), (-1, -1))
                with self.assertRaises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", listener.port), TIMEOUT)

    def test_a_wake_is_never_lost(self) -> None:
        """Whatever the thread is doing at that moment: accepting, or carrying out an order."""
        for _ in range(300):
            listener = Listener(0, lambda sock: sock.close(), lambda sock: sock.close())
            listener.thread.start()
            with socket.create_connection(("127.0.0.1", listener.port), TIMEOUT):
                listener.close()
                listener.thread.join(TIMEOUT)
                self.assertFalse(listener.thread.is_alive())

    def test_orders_are_refused_then(self) -> None:
        """RuntimeError, also for one that waits to be carried out."""
        waiting = Running(lambda: self.listener.change(Welcome.REFUSE))
        self.listener.close()
        self.assertIsInstance(waiting.error(), RuntimeError)
        with self.assertRaises(RuntimeError):
            self.listener.change(Welcome.REFUSE)


if __name__ == "__main__":
    unittest.main()

"""Metrics of openings, from the outside: one transaction for each exchange, by whatever way it went."""

from __future__ import annotations

import datetime
import unittest
from typing import Any, Callable, List, Optional, Type
from unittest import mock

import wssync
from tests.opening.support import PATIENCE, SECRET, Delegate, OpeningTestCase, userinfo
from tests.tasks import needs_trustme
from wssync import AuthenticationFailed, Cancelled, ConnectionRefused, TimedOut, TooManyRedirects, WebSocketError
from wssync.testing import at, basic, digest, proxy, redirect, refuse, silent

HOST = "example.test"


@unittest.skipUnless(
    hasattr(wssync.WebSocketDelegate, "did_finish_collecting_metrics"), "metrics are not collected here"
)
class MetricsTests(OpeningTestCase):
    """Rules 62, 80, 106 and 184."""

    def measured(self, url: Any, kind: Optional[Type[WebSocketError]] = None, **options: Any) -> Any:
        """The metrics of a task that opens and is closed, or that fails in this way."""
        delegate = Delegate(did_finish_collecting_metrics=lambda *_: None, **options.pop("methods", {}))
        if kind is None:
            self.connect(url, delegate=delegate, **options).close()
        else:
            self.fails(kind, url, delegate=delegate, **options)
        delegate.wait_for("did_complete")
        (metrics,) = delegate.questions("did_finish_collecting_metrics")
        self.assertEqual(delegate.names[-2:], ["did_finish_collecting_metrics", "did_complete"])
        return metrics

    def statuses(self, metrics: Any) -> List[Optional[int]]:
        """What was answered in each exchange."""
        return [each.response and each.response.status_code for each in metrics.transaction_metrics]

    def assertInOrder(self, transaction: Any, *names: str) -> None:
        """These dates are there, one not before the other, and no others are."""
        dates = {name: getattr(transaction, name) for name in dir(transaction) if name.endswith("_date")}
        there = {name: date for name, date in dates.items() if date is not None}
        self.assertEqual(set(there), set(names))
        found = [there[name] for name in names]
        self.assertEqual(found, sorted(found))
        self.assertTrue(all(date.tzinfo is datetime.timezone.utc for date in found))

    def test_a_plain_one(self) -> None:
        """Rules 184 and 50: once, just before completion, with the phases that there were in their order."""
        server = self.serve()
        metrics = self.measured(server.url)
        (transaction,) = metrics.transaction_metrics
        self.assertInOrder(
            transaction,
            "fetch_start_date",
            "connect_start_date",
            "connect_end_date",
            "request_start_date",
            "request_end_date",
            "response_start_date",
            "response_end_date",
        )
        self.assertEqual((self.statuses(metrics), metrics.redirect_count), ([101], 0))
        self.assertEqual(transaction.remote_port, int(server.url[:-1].rpartition(":")[2]))
        self.assertEqual(transaction.network_protocol_name, "http/1.1")
        self.assertFalse(transaction.is_proxy_connection)
        self.assertLessEqual(metrics.task_interval.start, transaction.fetch_start_date)

    def test_redirects(self) -> None:
        """Rule 62: each hop is a transaction, and `redirect_count` counts them."""
        server = self.serve(opening=[at("/a", redirect("/b")), at("/b", redirect("/c"))])
        metrics = self.measured("/a")
        self.assertEqual((self.statuses(metrics), metrics.redirect_count), ([302, 302, 101], 2))
        urls = [each.request.url for each in metrics.transaction_metrics]
        self.assertEqual(urls, [server.url_for(path) for path in ("/a", "/b", "/c")])

    def test_too_many_redirects(self) -> None:
        """Rules 57 and 62: one that is not followed is not counted."""
        server = self.serve(opening=redirect("/again"))
        metrics = self.measured(server.url, TooManyRedirects, max_redirects=3)
        self.assertEqual((self.statuses(metrics), metrics.redirect_count), ([302] * 4, 3))

    def test_challenges(self) -> None:
        """Rule 80: each 401 is a transaction, and no redirect; the body of a refusal is counted."""
        server = self.serve(opening=[basic("user", SECRET), at("/", redirect("/2"))])
        metrics = self.measured(userinfo(server.url))
        self.assertEqual((self.statuses(metrics), metrics.redirect_count), ([401, 302, 101], 1))
        body = metrics.transaction_metrics[0].count_of_response_body_bytes_received
        self.assertEqual(body, len(b"there are no credentials\n"))
        failed = self.measured(userinfo(server.url, "user:wrong"), AuthenticationFailed)
        self.assertEqual(self.statuses(failed), [401, 401])
        self.assertNotIn(SECRET, repr(metrics))

    def test_a_proxy(self) -> None:
        """Rules 77, 80 and 106: a 407 is one of its own; the address is the proxy's."""
        target = self.serve()
        routes = {f"{HOST}:80": target.url[5:-1]}
        through = self.serve(opening=[digest("user", SECRET, proxy=True), proxy(routes)])
        metrics = self.measured(f"ws://{HOST}/", proxy=userinfo(through.url.replace("ws:", "http:")))
        self.assertEqual(self.statuses(metrics), [407, 101])
        port = int(through.url[:-1].rpartition(":")[2])
        for transaction in metrics.transaction_metrics:
            self.assertTrue(transaction.is_proxy_connection)
            self.assertEqual((transaction.remote_address, transaction.remote_port), ("127.0.0.1", port))
        self.assertNotIn(SECRET, repr(metrics))

    @needs_trustme
    def test_tls(self) -> None:
        """Rule 184's neighbour: the dates of TLS, its version and cipher suite as numbers and as names."""
        server = self.serve(tls=True)
        (transaction,) = self.measured(server.url).transaction_metrics
        self.assertLessEqual(transaction.secure_connection_start_date, transaction.secure_connection_end_date)
        self.assertLessEqual(transaction.secure_connection_end_date, transaction.connect_end_date)
        self.assertEqual(transaction.tls_protocol_version_name, "TLSv1.3")
        self.assertEqual(transaction.negotiated_tls_protocol_version, 0x0304)
        self.assertEqual(transaction.negotiated_tls_cipher_suite >> 8, 0x13)

    def test_what_failed(self) -> None:
        """Rule 184: they come for every task; of a phase that failed the start is there, and nothing behind it."""
        refusing = self.serve()
        refusing.refuse_connections()
        (transaction,) = self.measured(refusing.url, ConnectionRefused).transaction_metrics
        self.assertInOrder(transaction, "fetch_start_date", "connect_start_date")
        with mock.patch("socket.getaddrinfo", side_effect=OSError("no such name")):
            (transaction,) = self.measured(f"ws://{HOST}/", wssync.HostNotFound, proxy=None).transaction_metrics
        self.assertInOrder(transaction, "fetch_start_date", "domain_lookup_start_date")
        (transaction,) = self.measured(self.serve(opening=refuse(403)).url, wssync.HandshakeError).transaction_metrics
        self.assertEqual(transaction.response.status_code, 403)

    def test_a_timeout(self) -> None:
        """Rules 184 and 204: what was waited for has no end."""
        clock = self.use_fake_clock()
        asked: List[Any] = []
        server = self.serve(opening=[asked.append, silent])
        delegate = Delegate(did_finish_collecting_metrics=lambda *_: None)
        task = self.session(delegate=delegate).websocket_task(server.url)
        task.resume()
        clock.advance(0)
        clock.advance(60)
        self.ends(task, TimedOut)
        ((transaction,),) = [each.transaction_metrics for each in delegate.wait_for("did_finish_collecting_metrics")]
        self.assertIsNone(transaction.response_start_date)

    def test_a_cancelled_one(self) -> None:
        """Rule 184: once, whatever ended it and wherever it was; a task that was never resumed has no transaction."""
        for resumes in (False, True):
            delegate = Delegate(did_finish_collecting_metrics=lambda *_: None)
            task = self.session(delegate=delegate).websocket_task(self.serve(opening=silent).url)
            if resumes:
                task.resume()
            task.cancel()
            self.ends(task, Cancelled)
            delegate.wait_for("did_complete")
            (metrics,) = delegate.questions("did_finish_collecting_metrics")
            self.assertLessEqual(len(metrics.transaction_metrics), int(resumes))

    def test_the_user_s_thinking(self) -> None:
        """Rules 79 and 80: it is in no phase of an exchange: the next one begins after the answer."""
        clock = self.use_fake_clock()
        future = self.future()
        ask: Callable[..., Any] = lambda session, task, response, request: future  # noqa: E731
        delegate = Delegate(did_finish_collecting_metrics=lambda *_: None, will_perform_http_redirection=ask)
        server = self.serve(opening=at("/old", redirect("/new")))
        task = self.session(delegate=delegate).websocket_task(server.url_for("/old"))
        task.resume()
        (proposed,) = delegate.wait_for("will_perform_http_redirection")
        clock.advance(10)
        future.set_result(proposed)
        task.wait_until_open(PATIENCE)
        task.cancel()
        (metrics,) = delegate.wait_for("did_finish_collecting_metrics")
        first, second = metrics.transaction_metrics
        pause = second.fetch_start_date - first.response_end_date
        self.assertGreaterEqual(pause.total_seconds(), 10)
        self.assertLess((second.response_end_date - second.fetch_start_date).total_seconds(), 10)

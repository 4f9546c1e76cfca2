"""Metrics from the events of a trace: scripts of events, a second apart, and the dates and facts that come of them."""

from __future__ import annotations

import datetime
import unittest
from typing import Any, Dict, List, Optional, Set, Tuple

from tests.clock import StillClock
from tests.support import cases, with_cases
from wssync.engine.tracing import EVENTS
from wssync.metrics.collector import _ACTS, MOST_TRANSACTIONS, Collector
from wssync.metrics.values import TaskMetrics, TaskTransactionMetrics
from wssync.protocol.headers import Headers
from wssync.protocol.http1 import Request, Response

Step = Tuple[str, Dict[str, Any]]

EPOCH = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)

REQUEST = Request("wss://user:secret@example.test/chat", headers={"Authorization": "Basic c2VjcmV0"})
RESPONSE = Response("wss://example.test/chat", 101, "Switching Protocols", Headers({"Set-Cookie": "id=secret"}))

START: Step = ("transaction_start", {"url": "wss://example.test/chat", "number": 1, "request": REQUEST})
PROXY: Step = ("proxy", {"scheme": "https", "host": "proxy.test", "port": 3128})
RESOLVE: List[Step] = [
    ("resolve_start", {"host": "example.test", "port": 443}),
    ("resolve_end", {"addresses": (("192.0.2.1", 443), ("192.0.2.2", 443))}),
]
CONNECT: List[Step] = [
    ("connect_start", {"address": ("192.0.2.1", 443)}),
    ("connect_end", {"local": ("198.51.100.1", 50_000), "remote": ("192.0.2.1", 443)}),
]
PROXY_TLS: List[Step] = [
    ("tls_start", {"server_hostname": "proxy.test", "is_proxy": True}),
    ("tls_end", {"version": "TLSv1.2", "cipher": "ECDHE-RSA-AES128-GCM-SHA256", "alpn": None}),
]
TLS: List[Step] = [
    ("tls_start", {"server_hostname": "example.test", "is_proxy": False}),
    ("tls_end", {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "alpn": "http/1.1"}),
]


def exchange(status: int, method: str = "GET", response: Optional[Response] = None) -> List[Step]:
    return [
        ("request_start", {"method": method, "target": "/chat"}),
        ("request_end", {"size": 200}),
        ("response_start", {}),
        ("response_end", {"status": status, "reason": "", "size": 100, "body_size": 7, "response": response}),
    ]


UPGRADE = exchange(101, response=RESPONSE)

PLAIN = [START, *RESOLVE, *CONNECT, *UPGRADE]
EVERYTHING = [START, PROXY, *RESOLVE, *CONNECT, *PROXY_TLS, *exchange(200, "CONNECT"), *TLS, *UPGRADE]

BY_STEP: List[Tuple[str, str]] = [
    ("fetch_start", ""),
    ("", ""),
    ("domain_lookup_start", ""),
    ("domain_lookup_end", ""),
    ("connect_start", ""),
    ("connect_end", ""),
    ("", "connect_end"),  # TLS with the proxy begins
    ("connect_end", ""),
    ("", "connect_end"),  # CONNECT
    ("", ""),
    ("", ""),
    ("connect_end", ""),
    ("secure_connection_start", "connect_end"),
    ("secure_connection_end connect_end", ""),
    ("request_start", ""),
    ("request_end", ""),
    ("response_start", ""),
    ("response_end", ""),
]
"""For each step of EVERYTHING: the dates it adds, and the one it takes back."""


class Script:
    """A collector and its clock, which goes a second with each event."""

    def __init__(self) -> None:
        self.clock = StillClock()
        self.collector = Collector(self.clock.now, self.clock.now(), EPOCH.timestamp)
        self.clock.advance(1)

    def play(self, *steps: Step) -> Script:
        for event, fields in steps:
            self.collector.note(event, self.clock.now(), fields)
            self.clock.advance(1)
        return self

    def metrics(self, **counts: Any) -> TaskMetrics:
        self.collector.finish(self.clock.now(), counts)
        return self.collector.metrics()

    def transactions(self) -> Tuple[TaskTransactionMetrics, ...]:
        return self.metrics().transaction_metrics


def dates(transaction: TaskTransactionMetrics) -> Dict[str, float]:
    """The dates there are, in seconds from the beginning."""
    found = {}
    for name in transaction.__match_args__:
        date = getattr(transaction, name)
        if name.endswith("_date") and date is not None:
            found[name[: -len("_date")]] = (date - EPOCH).total_seconds()
    return found


def play(*steps: Step) -> TaskTransactionMetrics:
    (transaction,) = Script().play(*steps).transactions()
    return transaction


@with_cases
class PhaseTests(unittest.TestCase):
    def test_a_plain_opening(self) -> None:
        """Section 1.6: each phase has its start and end, aware and in UTC, and what did not come has none."""
        transaction = play(*PLAIN)
        self.assertEqual(
            dates(transaction),
            {
                "fetch_start": 1,
                "domain_lookup_start": 2,
                "domain_lookup_end": 3,
                "connect_start": 4,
                "connect_end": 5,
                "request_start": 6,
                "request_end": 7,
                "response_start": 8,
                "response_end": 9,
            },
        )
        assert transaction.fetch_start_date is not None
        self.assertIs(transaction.fetch_start_date.tzinfo, datetime.timezone.utc)
        self.assertIsNone(transaction.secure_connection_start_date)

    @cases((f"{number} {step[0]}", number) for number, step in enumerate(EVERYTHING, 1))
    def test_it_fails_behind(self, count: int) -> None:
        """Section 1.6: of a phase that failed only the start is there, and nothing of those behind it; the end of
        connecting includes each handshake before the request."""
        expected: Set[str] = set()
        for added, removed in BY_STEP[:count]:
            expected |= set(added.split())
            expected -= {removed}
        failed: Step = ("end", {"error": OSError()})
        self.assertEqual(set(dates(play(*EVERYTHING[:count], failed))), expected, EVERYTHING[count - 1][0])

    def test_a_failure_is_no_end(self) -> None:
        """Section 1.6: an address that does not answer, and TLS that fails, end nothing."""
        refused = play(START, *RESOLVE, CONNECT[0], ("connect_failed", {"address": None, "error": OSError()}))
        self.assertEqual(list(dates(refused))[-1], "connect_start")
        broken = play(START, *RESOLVE, *CONNECT, TLS[0], ("tls_failed", {"error": OSError()}))
        self.assertEqual(set(dates(broken)) & {"connect_end", "secure_connection_end"}, set())
        self.assertIn("secure_connection_start", dates(broken))

    def test_several_addresses(self) -> None:
        """Rule 107: connecting began with the first of them, and ended with the one that answered."""
        failed: Step = ("connect_failed", {"address": ("192.0.2.1", 443), "error": OSError()})
        second = ("connect_end", {"local": ("198.51.100.1", 50_001), "remote": ("192.0.2.2", 443)})
        transaction = play(START, CONNECT[0], CONNECT[0], failed, second)
        self.assertEqual(dates(transaction), {"fetch_start": 1, "connect_start": 2, "connect_end": 5})
        self.assertEqual((transaction.remote_address, transaction.remote_port), ("192.0.2.2", 443))
        self.assertEqual((transaction.local_address, transaction.local_port), ("198.51.100.1", 50_001))

    def test_waiting_for_connectivity(self) -> None:
        """Rule 209: what is left of an exchange that was tried again is the last attempt."""
        waiting: Step = ("waiting", {"reason": "connectivity"})
        self.assertEqual(dates(play(START, RESOLVE[0], waiting)), {"fetch_start": 1})
        transaction = play(START, *RESOLVE, CONNECT[0], waiting, *PLAIN[1:])
        self.assertEqual(dates(transaction)["connect_start"], 8)
        self.assertEqual(dates(transaction)["fetch_start"], 1)
        self.assertEqual(transaction.request, REQUEST)

    def test_other_waits(self) -> None:
        """They are before the exchange, or part of it."""
        turn: Step = ("waiting", {"reason": "turn"})
        steps = [turn, *PLAIN[:3], ("waiting", {"reason": "delegate"}), *PLAIN[3:]]
        self.assertEqual(set(dates(Script().play(*steps).transactions()[-1])), set(dates(play(*PLAIN))))

    def test_a_phase_again(self) -> None:
        """A phase that begins once more was not over, and nothing behind it was there."""
        self.assertEqual(set(dates(play(*PLAIN, RESOLVE[0]))), {"fetch_start", "domain_lookup_start"})
        again = dates(play(*PLAIN, CONNECT[0]))
        self.assertEqual(list(again), ["fetch_start", "domain_lookup_start", "domain_lookup_end", "connect_start"])
        self.assertEqual(again["connect_start"], len(PLAIN) + 1)
        self.assertIsNone(play(*PLAIN, UPGRADE[0]).response)

    def test_informational_responses(self) -> None:
        """The response has begun with the first byte, also where that is one of an informational one."""
        informational: Step = ("informational", {"status": 103})
        transaction = play(*PLAIN[:-1], informational, *UPGRADE[2:])
        self.assertEqual((dates(transaction)["response_start"], dates(transaction)["response_end"]), (8, 11))

    def test_events_without_a_beginning(self) -> None:
        """A transaction is there with its first event, if nobody has said that it begins."""
        self.assertEqual(dates(play(CONNECT[0])), {"fetch_start": 1, "connect_start": 1})


class FactTests(unittest.TestCase):
    def test_of_an_opening(self) -> None:
        """Section 1.6: sizes of the heads, the addresses, request and response."""
        transaction = play(*PLAIN)
        self.assertEqual(transaction.count_of_request_header_bytes_sent, 200)
        self.assertEqual(transaction.count_of_response_header_bytes_received, 100)
        self.assertEqual(transaction.count_of_response_body_bytes_received, 7)
        self.assertEqual(transaction.count_of_response_body_bytes_after_decoding, 7)
        self.assertEqual((transaction.request, transaction.response), (REQUEST, RESPONSE))
        self.assertEqual(transaction.network_protocol_name, "http/1.1")
        self.assertFalse(transaction.is_proxy_connection or transaction.is_reused_connection)
        self.assertIsNone(transaction.negotiated_tls_protocol_version)

    def test_no_address(self) -> None:
        """A Unix socket has none."""
        transaction = play(START, CONNECT[0], ("connect_end", {"local": None, "remote": None}))
        self.assertEqual((transaction.local_address, transaction.remote_port), (None, None))

    def test_of_tls(self) -> None:
        """Section 1.6: version and cipher suite as the two bytes that TLS has for them, and as names."""
        transaction = play(START, *CONNECT, *TLS)
        self.assertEqual(transaction.negotiated_tls_protocol_version, 0x0304)
        self.assertEqual(transaction.negotiated_tls_cipher_suite, 0x1302)
        self.assertEqual(transaction.tls_protocol_version_name, "TLSv1.3")
        self.assertEqual(transaction.tls_cipher_suite_name, "TLS_AES_256_GCM_SHA384")
        self.assertEqual(transaction.network_protocol_name, "http/1.1", "agreed by ALPN before the request")

    def test_no_protocol(self) -> None:
        """Without ALPN and a request nothing was spoken."""
        self.assertIsNone(play(START, *CONNECT).network_protocol_name)

    def test_tls_with_the_proxy_alone(self) -> None:
        """What is said of TLS is said of that with the server: a `ws:` connection has none."""
        transaction = play(START, PROXY, *CONNECT, *PROXY_TLS, *exchange(200, "CONNECT"), *UPGRADE)
        self.assertIsNone(transaction.tls_protocol_version_name)
        self.assertNotIn("secure_connection_start", dates(transaction))

    def test_secrets(self) -> None:
        """Section 1.6: what the metrics show of themselves has none."""
        self.assertNotIn("secret", repr(Script().play(*PLAIN).metrics()).replace("c2VjcmV0", "secret"))


class ExchangeTests(unittest.TestCase):
    def test_each_redirect_is_a_transaction(self) -> None:
        """Rule 62: each hop is one, and they are counted; one that is not followed is none."""
        redirect: Step = ("redirect", {"status": 302, "url": "wss://other.test/"})
        hop = [START, *RESOLVE, *CONNECT, *exchange(302), redirect]
        metrics = Script().play(*hop, *hop, *PLAIN).metrics()
        self.assertEqual((len(metrics.transaction_metrics), metrics.redirect_count), (3, 2))
        challenged = Script().play(*hop, START, *exchange(401), *PLAIN).metrics()
        self.assertEqual(challenged.redirect_count, 1, "what follows the next exchange is no redirect")
        stopped = Script().play(*hop, *hop).metrics()
        self.assertEqual((len(stopped.transaction_metrics), stopped.redirect_count), (2, 1))

    def test_each_challenge_is_a_transaction(self) -> None:
        """Rule 80: a 401 begins another one, which is no redirect; on a connection that lives on it is a reused one,
        whose phases of connecting are no more."""
        challenge: Step = ("challenge", {"method": "Digest", "realm": "r", "is_proxy": False})
        refused = [START, *CONNECT, *TLS, *exchange(401), challenge]
        metrics = Script().play(*refused, START, *UPGRADE).metrics()
        first, second = metrics.transaction_metrics
        self.assertEqual(metrics.redirect_count, 0)
        self.assertEqual((first.is_reused_connection, second.is_reused_connection), (False, True))
        self.assertEqual((second.connect_start_date, second.connect_end_date), (None, None))
        for name in ("remote_address", "local_port", "tls_cipher_suite_name", "network_protocol_name"):
            self.assertEqual(getattr(second, name), getattr(first, name))

    def test_a_new_connection_is_none_that_is_reused(self) -> None:
        """Rule 78: after a 401 that closed the connection there is another."""
        _, second = Script().play(START, *CONNECT, *exchange(401), *PLAIN).transactions()
        self.assertFalse(second.is_reused_connection)

    def test_no_connection_at_all(self) -> None:
        """A recorded conversation has none, so it is not used again."""
        transactions = Script().play(START, *exchange(401), START, *UPGRADE).transactions()
        self.assertEqual([one.is_reused_connection for one in transactions], [False, False])

    def test_by_a_proxy(self) -> None:
        """Rule 106: it is a proxy's connection and the address is the proxy's; the `CONNECT` is part of connecting, and
        the request's sizes and dates are the server's."""
        tunnel = exchange(200, "CONNECT")
        tunnel[1] = ("request_end", {"size": 999})
        transaction = play(START, PROXY, *RESOLVE, *CONNECT, *tunnel, *TLS, *UPGRADE)
        self.assertTrue(transaction.is_proxy_connection)
        self.assertEqual(transaction.remote_address, "192.0.2.1")
        self.assertEqual(transaction.count_of_request_header_bytes_sent, 200)
        found = dates(transaction)
        self.assertEqual([found[name] for name in ("connect_start", "connect_end", "request_start")], [5, 12, 13])

    def test_a_407_is_a_transaction(self) -> None:
        """Rules 77, 80: a `CONNECT` that is answered so was the exchange, on a connection that was made."""
        refused = [START, PROXY, *CONNECT, *exchange(407, "CONNECT", RESPONSE)]
        first, second = (
            Script().play(*refused, START, PROXY, *CONNECT, *exchange(200, "CONNECT"), *UPGRADE).transactions()
        )
        self.assertEqual(
            dates(first),
            {
                "fetch_start": 1,
                "connect_start": 3,
                "connect_end": 4,
                "request_start": 5,
                "request_end": 6,
                "response_start": 7,
                "response_end": 8,
            },
        )
        self.assertEqual((first.response, first.count_of_response_header_bytes_received), (RESPONSE, 100))
        self.assertEqual((first.request, first.is_proxy_connection), (REQUEST, True))
        self.assertEqual(second.response, RESPONSE)

    def test_a_407_on_a_connection_that_lives_on(self) -> None:
        """Rules 77, 78: a second refusal is on a reused connection; the tunnel that comes of it is a new one."""
        refused = [START, PROXY, *CONNECT, *exchange(407, "CONNECT")]
        again = [START, PROXY, *exchange(407, "CONNECT")]
        last = [START, PROXY, *exchange(200, "CONNECT"), *UPGRADE]
        _, second, third = Script().play(*refused, *again, *last).transactions()
        self.assertTrue(second.is_reused_connection)
        self.assertEqual((second.connect_start_date, second.remote_address), (None, "192.0.2.1"))
        self.assertIsNotNone(second.response_end_date)
        self.assertFalse(third.is_reused_connection)
        found = dates(third)
        self.assertEqual(found["connect_end"] - found["connect_start"], 3)

    def test_another_refusal_of_the_proxy(self) -> None:
        """Rule 103: connecting has failed, and the request was never sent."""
        transaction = play(START, PROXY, *CONNECT, *exchange(502, "CONNECT"))
        self.assertEqual(list(dates(transaction)), ["fetch_start", "connect_start"])
        self.assertIsNone(transaction.response)

    def test_a_proxy_whose_connecting_had_no_end(self) -> None:
        """The end of connecting is told by the tunnel all the same."""
        transaction = play(START, PROXY, CONNECT[0], *exchange(200, "CONNECT"))
        self.assertEqual(dates(transaction), {"fetch_start": 1, "connect_start": 3, "connect_end": 7})

    def test_memory_is_bounded(self) -> None:
        """Of endless exchanges the last ones are kept, and all redirects are counted."""
        script = Script()
        for _ in range(MOST_TRANSACTIONS + 10):
            script.play(*PLAIN, ("redirect", {"status": 302, "url": ""}))
        metrics = script.metrics()
        self.assertEqual(len(metrics.transaction_metrics), MOST_TRANSACTIONS)
        self.assertEqual(metrics.redirect_count, MOST_TRANSACTIONS + 9)


class TaskTests(unittest.TestCase):
    def test_the_interval(self) -> None:
        """Section 1.6: from the creation of the task, which may be long before it begins, to its end."""
        clock = StillClock()
        created = clock.now()
        clock.advance(60)
        collector = Collector(clock.now, created, EPOCH.timestamp)
        clock.advance(0.5)
        collector.finish(clock.now(), {"count_of_messages_sent": 3})
        metrics = collector.metrics()
        self.assertEqual(metrics.task_interval.start, EPOCH - datetime.timedelta(seconds=60))
        self.assertEqual(metrics.task_interval.duration, 60.5)
        self.assertEqual(metrics.count_of_messages_sent, 3)
        self.assertEqual(metrics.transaction_metrics, ())

    def test_the_calendar_is_asked_once(self) -> None:
        """Whatever is done to the system's clock, no interval shows it."""
        looks = [EPOCH.timestamp()]
        collector = Collector(StillClock().now, wall=looks.pop)
        collector.note("transaction_start", 1001.0, {})
        collector.note("resolve_start", 1001.0, {})
        (transaction,) = collector.metrics().transaction_metrics
        self.assertEqual(transaction.fetch_start_date, transaction.domain_lookup_start_date)
        self.assertEqual(collector.metrics().task_interval.duration, 0)

    def test_every_event_is_one_of_the_trace(self) -> None:
        """The collector waits for no event that is never told."""
        self.assertLessEqual(set(_ACTS), set(EVENTS))

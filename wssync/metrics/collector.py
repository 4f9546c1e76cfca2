"""From the events of a trace to the metrics of a task.

An event costs a look into a table and a number: what is kept of an exchange are its instants, on the monotonic clock,
and a few facts. Dates are made when somebody asks for the metrics.

Not every event is an instant of Apple's. Three things are put together here:

- **Phases that come again.** A retry within an exchange begins with a phase that was over: that one, and those behind
  it, are forgotten, so that what is left is the last attempt.
- **Connecting** ends when the request can be sent. So each handshake that begins (TLS with a proxy, `CONNECT`, TLS with
  the server) takes the end of connecting back, and its own success sets it again.
- **A `CONNECT`** is part of connecting, unless the proxy answers it with 407: then it was the exchange.
"""

from __future__ import annotations

import time

from ..hints import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Tuple

if TYPE_CHECKING:
    import datetime

    from .values import TaskMetrics, TaskTransactionMetrics

__all__ = ["Collector"]

MOST_TRANSACTIONS = 256
"""Exchanges that are kept of one task: 20 redirects with a challenge each are far fewer, and a task that waits for
connectivity may try for days."""

_PHASES = (
    "fetch_start",
    "domain_lookup_start",
    "domain_lookup_end",
    "connect_start",
    "secure_connection_start",
    "secure_connection_end",
    "connect_end",
    "request_start",
    "request_end",
    "response_start",
    "response_end",
)
"""The instants of an exchange, in their order."""

_OF_CONNECTION = (
    "is_proxy_connection",
    "local_address",
    "local_port",
    "remote_address",
    "remote_port",
    "tls_protocol_version_name",
    "tls_cipher_suite_name",
)
"""What an exchange has of its connection, and so of an earlier exchange on the same one."""

_SUCCESS = range(200, 300)

_PROXY_AUTHENTICATION_REQUIRED = 407


class _Exchange:
    """What is known of one transaction."""

    def __init__(self, moment: float) -> None:
        self.instants: Dict[str, float] = {"fetch_start": moment}
        self.facts: Dict[str, Any] = {}
        self.alpn: Optional[str] = None
        self.tunnel: Optional[_Exchange] = None
        """The exchange with the proxy, from the `CONNECT` to a response that is no success."""
        self.tls_with_proxy = False

    def forget(self, first: str) -> None:
        """That phase begins once more: it and those behind it have not been."""
        for phase in _PHASES[_PHASES.index(first) :]:
            self.instants.pop(phase, None)
        self.facts.pop("response", None)
        self.tunnel = None

    @property
    def innermost(self) -> _Exchange:
        """With whom is talked just now: the proxy, or the server."""
        return self if self.tunnel is None else self.tunnel


class Collector:
    """Gathers what the metrics of one task are made of.

    `now` is the clock of the instants that `note` is called with, `created` when the task was made by it; `wall` gives
    seconds since the epoch, and is asked once. The opening's events come from one thread, as do `finish` and `metrics`
    behind them.
    """

    def __init__(
        self, now: Callable[[], float], created: Optional[float] = None, wall: Callable[[], float] = time.time
    ) -> None:
        started = now()
        self._epoch = wall() - started
        self._created = started if created is None else created
        self._ended = started
        self._exchanges: List[_Exchange] = []
        self._redirected = False
        self._redirect_count = 0
        self._counts: Mapping[str, Any] = {}

    # -- while the task goes on ----------------------------------------------------------------------------------------

    def note(self, event: str, moment: float, fields: Mapping[str, Any]) -> None:
        """Take in one event, with the fields that the trace has for it; those it does not know change nothing."""
        act = _ACTS.get(event)
        if act is not None:
            act(self, moment, fields)

    def finish(self, moment: float, counts: Mapping[str, Any]) -> None:
        """The task is about to be completed. `counts` are fields of `TaskMetrics`."""
        self._ended = moment
        self._counts = counts

    def _current(self, moment: float) -> _Exchange:
        if not self._exchanges:
            self._exchanges.append(_Exchange(moment))
        return self._exchanges[-1]

    def _transaction_start(self, moment: float, fields: Mapping[str, Any]) -> None:
        self._redirect_count += self._redirected
        self._redirected = False
        exchange = _Exchange(moment)
        exchange.facts["request"] = fields.get("request")
        self._exchanges.append(exchange)
        del self._exchanges[:-MOST_TRANSACTIONS]

    def _redirect(self, moment: float, fields: Mapping[str, Any]) -> None:
        self._redirected = True  # it counts when it is followed

    def _waiting(self, moment: float, fields: Mapping[str, Any]) -> None:
        if fields.get("reason") == "connectivity":
            self._current(moment).forget("domain_lookup_start")

    def _proxy(self, moment: float, fields: Mapping[str, Any]) -> None:
        self._current(moment).facts["is_proxy_connection"] = True

    def _resolve_start(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment)
        exchange.forget("domain_lookup_start")
        exchange.instants["domain_lookup_start"] = moment

    def _resolve_end(self, moment: float, fields: Mapping[str, Any]) -> None:
        self._current(moment).instants["domain_lookup_end"] = moment

    def _connect_start(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment)
        if "connect_end" in exchange.instants or "request_start" in exchange.instants:
            exchange.forget("connect_start")
        exchange.instants.setdefault("connect_start", moment)  # several addresses are tried at once (RFC 8305)

    def _connect_end(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment)
        exchange.instants["connect_end"] = moment
        for end in ("local", "remote"):
            exchange.facts[f"{end}_address"], exchange.facts[f"{end}_port"] = fields.get(end) or (None, None)

    def _tls_start(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment)
        exchange.instants.pop("connect_end", None)
        exchange.tls_with_proxy = bool(fields.get("is_proxy"))
        if not exchange.tls_with_proxy:
            exchange.instants["secure_connection_start"] = moment

    def _tls_end(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment)
        exchange.instants["connect_end"] = moment
        if exchange.tls_with_proxy:
            return
        exchange.instants["secure_connection_end"] = moment
        exchange.alpn = fields.get("alpn")
        exchange.facts["tls_protocol_version_name"] = fields.get("version")
        exchange.facts["tls_cipher_suite_name"] = fields.get("cipher")

    def _request_start(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment)
        if fields.get("method") == "CONNECT":
            exchange = self._begin_tunnel(exchange, moment)
        else:
            exchange.forget("request_start")
            if "connect_start" not in exchange.instants:
                self._reuse(exchange)
        exchange.instants["request_start"] = moment

    def _begin_tunnel(self, exchange: _Exchange, moment: float) -> _Exchange:
        """The connection so far is one with the proxy, and that with the server begins or goes on."""
        tunnel = _Exchange(moment)
        if "connect_end" in exchange.instants:
            tunnel.instants["connect_end"] = exchange.instants.pop("connect_end")
        elif "connect_start" not in exchange.instants:
            self._reuse(exchange)
            tunnel.facts["is_reused_connection"] = exchange.facts.pop("is_reused_connection", False)
            exchange.instants["connect_start"] = moment
        exchange.tunnel = tunnel
        return tunnel

    def _reuse(self, exchange: _Exchange) -> None:
        """No connection was made for this one, so that of the exchange before it goes on, if it had one."""
        earlier = self._exchanges[-2] if len(self._exchanges) > 1 else None
        if earlier is None or "remote_address" not in earlier.facts:
            return
        exchange.facts["is_reused_connection"] = True
        exchange.facts.update({name: earlier.facts[name] for name in _OF_CONNECTION if name in earlier.facts})
        exchange.alpn = earlier.alpn

    def _request_end(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment).innermost
        exchange.instants["request_end"] = moment
        exchange.facts["count_of_request_header_bytes_sent"] = fields.get("size", 0)

    def _response_start(self, moment: float, fields: Mapping[str, Any]) -> None:
        self._current(moment).innermost.instants.setdefault("response_start", moment)

    def _response_end(self, moment: float, fields: Mapping[str, Any]) -> None:
        exchange = self._current(moment)
        status = fields.get("status")
        if exchange.tunnel is not None and status in _SUCCESS:
            exchange.tunnel = None
            exchange.instants["connect_end"] = moment
            return
        exchange = exchange.innermost
        exchange.instants["response_end"] = moment
        body = fields.get("body_size", 0)
        exchange.facts["status"] = status
        exchange.facts["response"] = fields.get("response")
        exchange.facts["count_of_response_header_bytes_received"] = fields.get("size", 0)
        exchange.facts["count_of_response_body_bytes_received"] = body
        exchange.facts["count_of_response_body_bytes_after_decoding"] = body

    # -- at its end ----------------------------------------------------------------------------------------------------

    def metrics(self) -> TaskMetrics:
        """The metrics, of all that was noted until now."""
        from .values import Interval, TaskMetrics

        return TaskMetrics(
            task_interval=Interval(self._date(self._created), self._date(self._ended)),
            redirect_count=self._redirect_count,
            transaction_metrics=tuple(map(self._transaction, self._exchanges)),
            **self._counts,
        )

    def _date(self, moment: float) -> datetime.datetime:
        import datetime

        return datetime.datetime.fromtimestamp(self._epoch + moment, datetime.timezone.utc)

    def _transaction(self, exchange: _Exchange) -> TaskTransactionMetrics:
        from .values import TaskTransactionMetrics

        instants, facts = dict(exchange.instants), dict(exchange.facts)
        tunnel = exchange.tunnel
        if tunnel is not None and tunnel.facts.get("status") == _PROXY_AUTHENTICATION_REQUIRED:
            instants.update({phase: moment for phase, moment in tunnel.instants.items() if phase != "fetch_start"})
            facts.update(tunnel.facts)
            if "connect_end" not in instants:
                del instants["connect_start"]  # the connection with the proxy was there already
        facts.pop("status", None)
        facts.update({f"{phase}_date": self._date(moment) for phase, moment in instants.items()})
        facts["network_protocol_name"] = exchange.alpn or ("http/1.1" if "request_start" in instants else None)
        version, cipher = facts.get("tls_protocol_version_name"), facts.get("tls_cipher_suite_name")
        facts["negotiated_tls_protocol_version"], facts["negotiated_tls_cipher_suite"] = _tls_codes(version, cipher)
        return TaskTransactionMetrics(**facts)


def _tls_codes(version: Optional[str], cipher: Optional[str]) -> Tuple[Optional[int], Optional[int]]:
    if version is None or cipher is None:
        return None, None
    from .tls_codes import cipher_suite_code, protocol_version_code

    return protocol_version_code(version), cipher_suite_code(cipher)


_ACTS: Dict[str, Callable[[Collector, float, Mapping[str, Any]], None]] = {
    "connect_end": Collector._connect_end,
    "connect_start": Collector._connect_start,
    "proxy": Collector._proxy,
    "redirect": Collector._redirect,
    "request_end": Collector._request_end,
    "request_start": Collector._request_start,
    "resolve_end": Collector._resolve_end,
    "resolve_start": Collector._resolve_start,
    "response_end": Collector._response_end,
    "response_start": Collector._response_start,
    "tls_end": Collector._tls_end,
    "tls_start": Collector._tls_start,
    "transaction_start": Collector._transaction_start,
    "waiting": Collector._waiting,
}

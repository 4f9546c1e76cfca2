"""The configuration of a session: its defaults, its copies, and what it refuses."""

from __future__ import annotations

import dataclasses
import ssl
import unittest

from tests.support import cases, with_cases
from wssync import DeflateOptions, Headers, SessionConfiguration


@with_cases
class ConfigurationTests(unittest.TestCase):
    def test_defaults(self) -> None:
        """Apple's values, and those of the documentation."""
        expected = {
            "timeout_interval_for_request": 60.0,
            "timeout_interval_for_resource": 604_800.0,
            "http_additional_headers": Headers(),
            "tls_minimum_supported_protocol_version": ssl.TLSVersion.TLSv1_2,
            "tls_maximum_supported_protocol_version": None,
            "http_maximum_connections_per_host": 6,
            "maximum_message_size": 1_048_576,
            "compression": "deflate",
            "ping_interval": 20.0,
            "ping_timeout": 20.0,
            "close_timeout": 10.0,
            "max_queue": (16, 4 * 1_048_576),
            "write_limit": 16 * 1_048_576,
            "ssl_context": None,
            "proxy": None,
            "origin": None,
            "user_agent": "wssync",
        }
        for configuration in (SessionConfiguration(), SessionConfiguration.default(), SessionConfiguration.ephemeral()):
            found = {field.name: getattr(configuration, field.name) for field in dataclasses.fields(configuration)}
            self.assertEqual({name: found[name] for name in expected}, expected)

    def test_it_is_frozen(self) -> None:
        """Rule 3: changing it is not possible, `replace` makes another."""
        configuration = SessionConfiguration.default()
        with self.assertRaises(dataclasses.FrozenInstanceError):
            configuration.close_timeout = 5  # type: ignore[misc]
        other = configuration.replace(close_timeout=5, ping_interval=None)
        self.assertEqual((configuration.close_timeout, other.close_timeout, other.ping_interval), (10.0, 5, None))
        self.assertEqual(other.replace(close_timeout=10.0, ping_interval=20.0), configuration)
        with self.assertRaises(TypeError):
            configuration.replace(no_such_thing=1)

    @cases(
        negative_time=({"close_timeout": -1}, ValueError),
        no_time=({"close_timeout": None}, TypeError),
        not_a_number=({"ping_interval": float("nan")}, ValueError),
        a_word=({"ping_timeout": "20"}, TypeError),
        a_bool_time=({"timeout_interval_for_request": True}, TypeError),
        negative_resource=({"timeout_interval_for_resource": -5.0}, ValueError),
        negative_size=({"maximum_message_size": -1}, ValueError),
        half_a_byte=({"maximum_message_size": 1.5}, TypeError),
        a_bool_size=({"write_limit": True}, TypeError),
        no_write_limit=({"write_limit": 0}, ValueError),
        write_limit_none=({"write_limit": None}, TypeError),
        no_connections=({"http_maximum_connections_per_host": 0}, ValueError),
        a_queue_of_one=({"max_queue": 16}, TypeError),
        a_queue_of_three=({"max_queue": (1, 2, 3)}, TypeError),
        an_empty_queue=({"max_queue": (0, None)}, ValueError),
        a_wordy_queue=({"max_queue": (None, "4")}, TypeError),
        unknown_compression=({"compression": "gzip"}, ValueError),
        a_numeric_compression=({"compression": 5}, TypeError),
        a_proxy=({"proxy": "http://p:1/"}, ValueError),
        no_context=({"ssl_context": True}, TypeError),
        a_line_in_origin=({"origin": "http://o\r\nX: y"}, ValueError),
        a_numeric_user_agent=({"user_agent": 5}, TypeError),
        bad_headers=({"http_additional_headers": {"A": "b\n"}}, ValueError),
        forbidden_headers=({"http_additional_headers": {"Host": "h"}}, ValueError),
    )
    def test_what_makes_no_sense(self, changes: dict[str, object], error: type) -> None:
        """Rules 29 and 31: TypeError or ValueError when it is made, which names the value."""
        with self.assertRaises(error):
            SessionConfiguration(**changes)  # type: ignore[arg-type]
        with self.assertRaises(error):
            SessionConfiguration.default().replace(**changes)

    def test_messages_name_the_value(self) -> None:
        """So that one finds it."""
        for changes, pattern in (
            ({"ping_interval": "x"}, "ping_interval must be a number of seconds or None"),
            ({"close_timeout": "x"}, "close_timeout must be a number of seconds, not"),
            ({"maximum_message_size": "x"}, "maximum_message_size must be an int or None"),
            ({"write_limit": 0}, "write_limit must be at least 1"),
        ):
            with self.assertRaisesRegex((TypeError, ValueError), pattern):
                SessionConfiguration(**changes)

    def test_what_switches_off(self) -> None:
        """None is no limit, no ping, no compression, no header; nothing at all is a time too."""
        configuration = SessionConfiguration(
            timeout_interval_for_request=None,
            timeout_interval_for_resource=None,
            ping_interval=None,
            ping_timeout=None,
            maximum_message_size=None,
            compression=None,
            max_queue=None,
            user_agent=None,
            close_timeout=0,
            proxy=None,
            ssl_context=None,
        )
        self.assertEqual(configuration.queue_limits, (None, None))
        self.assertIsNone(configuration.deflate)
        self.assertIsNone(configuration.resource_timeout_when_open)
        self.assertEqual(configuration.request_headers, Headers())

    def test_derived_values(self) -> None:
        """Compression options, limits of the queue, and the resource timeout of an open task: rule 207."""
        configuration = SessionConfiguration.default()
        options = DeflateOptions(server_max_window_bits=10)
        self.assertEqual(configuration.deflate, DeflateOptions())
        self.assertIs(configuration.replace(compression=options).deflate, options)
        self.assertEqual(configuration.queue_limits, (16, 4 * 1_048_576))
        self.assertEqual(configuration.replace(max_queue=(None, 5)).queue_limits, (None, 5))
        self.assertIsNone(configuration.resource_timeout_when_open)
        self.assertEqual(configuration.replace(timeout_interval_for_resource=9).resource_timeout_when_open, 9)

    def test_request_headers(self) -> None:
        """Rules 32 and 33: User-Agent always, Origin when given, and neither if the additional headers have them."""
        configuration = SessionConfiguration(origin="http://o", http_additional_headers={"A": "1"})  # type: ignore[arg-type]
        self.assertEqual(
            configuration.request_headers.fields, (("User-Agent", "wssync"), ("Origin", "http://o"), ("A", "1"))
        )
        own = configuration.replace(
            http_additional_headers=[("user-agent", "me"), ("ORIGIN", "x"), ("user-agent", "I")]
        )
        self.assertEqual(own.request_headers.fields, (("user-agent", "me"), ("ORIGIN", "x"), ("user-agent", "I")))

    def test_a_context_of_ones_own(self) -> None:
        """An `ssl.SSLContext` is taken as it is."""
        context = ssl.create_default_context()
        self.assertIs(SessionConfiguration(ssl_context=context).ssl_context, context)

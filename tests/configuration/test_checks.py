"""What the fields of a configuration may be."""

from __future__ import annotations

import unittest

from tests.support import cases, with_cases
from wssync import SessionConfiguration


@with_cases
class ChecksTests(unittest.TestCase):
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
        a_bad_proxy=({"proxy": "ftp://p:1/"}, ValueError),
        a_proxy_that_is_false=({"proxy": False}, TypeError),
        a_dictionary_that_is_none=({"connection_proxy_dictionary": "x"}, TypeError),
        a_proxy_script=({"connection_proxy_dictionary": {"ProxyAutoConfigEnable": 1}}, ValueError),
        a_flag_that_is_a_number=({"http_should_set_cookies": 1}, TypeError),
        a_policy_that_is_a_number=({"http_cookie_accept_policy": 1}, TypeError),
        a_jar_that_is_a_dict=({"http_cookie_storage": {}}, TypeError),
        a_storage_that_is_a_dict=({"url_credential_storage": {}}, TypeError),
        a_pin_alone=({"certificate_pins": "sha256/x"}, TypeError),
        a_bad_pin=({"certificate_pins": ["sha256/x"]}, ValueError),
        a_number_of_pins=({"certificate_pins": 1}, TypeError),
        negative_redirects=({"max_redirects": -1}, ValueError),
        one_name=({"redirect_headers": "X-A"}, TypeError),
        a_numeric_name=({"redirect_headers": [1]}, TypeError),
        no_name=({"redirect_headers": ["X A"]}, ValueError),
        a_numeric_netrc=({"netrc": 1}, TypeError),
        a_trace_that_is_none=({"trace": "log"}, TypeError),
        a_source_alone=({"source_address": "127.0.0.1"}, TypeError),
        a_source_without_port=({"source_address": ("127.0.0.1", "80")}, TypeError),
        a_source_beyond_ports=({"source_address": ("127.0.0.1", 65536)}, ValueError),
        a_path_of_bytes=({"unix_path": b"/x"}, TypeError),
        an_empty_path=({"unix_path": ""}, ValueError),
        a_version_in_words=({"tls_minimum_supported_protocol_version": "TLSv1.3"}, TypeError),
        no_version=({"tls_minimum_supported_protocol_version": None}, TypeError),
        a_version_that_is_a_number=({"tls_maximum_supported_protocol_version": 771}, TypeError),
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


if __name__ == "__main__":
    unittest.main()

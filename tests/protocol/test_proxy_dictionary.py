"""`wssync.protocol.proxy_dictionary`: Apple's keys for proxies."""

from __future__ import annotations

import unittest
from typing import Any, Dict, Optional
from unittest import mock

from tests.support import cases, with_cases
from wssync.protocol.proxy_dictionary import check_proxy_dictionary, proxy_from_dictionary
from wssync.protocol.urls import parse_url

HTTP = {"HTTPEnable": 1, "HTTPProxy": "h.example", "HTTPPort": 3128}
HTTPS = {"HTTPSEnable": True, "HTTPSProxy": "s.example", "HTTPSPort": 3129}
SOCKS = {"SOCKSEnable": 1, "SOCKSProxy": "socks.example", "SOCKSPort": 9050}
OFF = {"HTTPEnable": 0, "HTTPProxy": "h.example", "HTTPPort": 3128}


@with_cases
class ChoosingTests(unittest.TestCase):
    """Which proxy a dictionary has for a URL."""

    def choose(self, url: str, dictionary: Dict[str, Any]) -> Optional[str]:
        check_proxy_dictionary(dictionary)
        proxy = proxy_from_dictionary(parse_url(url), dictionary)
        return None if proxy is None else str(proxy)

    @cases(
        ws=("ws://example.org", {**HTTP, **HTTPS, **SOCKS}, "http://h.example:3128"),
        wss=("wss://example.org", {**HTTP, **HTTPS, **SOCKS}, "http://s.example:3129"),
        ws_by_socks=("ws://example.org", {**HTTPS, **SOCKS}, "socks5://socks.example:9050"),
        wss_by_socks=("wss://example.org", {**HTTP, **SOCKS}, "socks5://socks.example:9050"),
        ws_by_none=("ws://example.org", HTTPS, None),
        wss_by_none=("wss://example.org", HTTP, None),
        empty=("ws://example.org", {}, None),
        off=("ws://example.org", OFF, None),
        off_and_socks=("ws://example.org", {**OFF, **SOCKS}, "socks5://socks.example:9050"),
        http_port=("ws://example.org", {"HTTPEnable": 1, "HTTPProxy": "h"}, "http://h:80"),
        https_port=("wss://example.org", {"HTTPSEnable": 1, "HTTPSProxy": "h"}, "http://h:80"),
        socks_port=("ws://example.org", {"SOCKSEnable": 1, "SOCKSProxy": "h"}, "socks5://h:1080"),
        ipv6=("ws://example.org", {**HTTP, "HTTPProxy": "::1"}, "http://[::1]:3128"),
        ipv6_brackets=("ws://example.org", {**HTTP, "HTTPProxy": "[::1]"}, "http://[::1]:3128"),
        others_mean_nothing=("ws://example.org", {"FTPEnable": 1, "__SCOPED__": {}, "RTSPPort": "x"}, None),
        script_off=("ws://example.org", {"ProxyAutoConfigEnable": 0, "ProxyAutoConfigURLString": "http://x"}, None),
    )
    def test_the_keys(self, url: str, dictionary: Dict[str, Any], expected: Optional[str]) -> None:
        """Rule 104: the keys of 1.11, HTTPS for wss and HTTP for ws, else SOCKS, when enabled."""
        self.assertEqual(self.choose(url, dictionary), expected)

    @cases(
        listed=("ws://example.org", {"ExceptionsList": ["a", "example.org"]}, True),
        listed_tuple=("ws://a.local", {"ExceptionsList": ("*.local",)}, True),
        not_below=("ws://a.example.org", {"ExceptionsList": ["example.org"]}, False),
        network=("ws://169.254.1.2", {"ExceptionsList": ["169.254/16"]}, True),
        empty_list=("ws://example.org", {"ExceptionsList": []}, False),
        loopback=("ws://127.0.0.1", {}, True),
        localhost=("ws://localhost", {}, True),
        simple=("ws://intranet", {"ExcludeSimpleHostnames": 1}, True),
        simple_with_the_roots_dot=("ws://intranet.", {"ExcludeSimpleHostnames": 1}, True),
        simple_but_not_excluded=("ws://intranet", {"ExcludeSimpleHostnames": 0}, False),
        not_simple=("ws://example.org", {"ExcludeSimpleHostnames": 1}, False),
        an_address_is_not_simple=("ws://[2001:db8::1]", {"ExcludeSimpleHostnames": 1}, False),
    )
    def test_exceptions(self, url: str, extra: Dict[str, Any], bypassed: bool) -> None:
        """Rule 105: the ExceptionsList, simple host names and loopback bypass the proxy."""
        self.assertEqual(self.choose(url, {**HTTP, **extra}) is None, bypassed)


@with_cases
class CheckingTests(unittest.TestCase):
    """What is no dictionary for proxies."""

    @cases(none=None, empty={}, full={**HTTP, **HTTPS, **SOCKS, "ExceptionsList": []})
    def test_good(self, value: object) -> None:
        """None and what is filled in well."""
        check_proxy_dictionary(value)

    @cases(
        script=({"ProxyAutoConfigEnable": 1}, "ProxyAutoConfigEnable.*PAC"),
        script_with_url=({"ProxyAutoConfigEnable": 1, "ProxyAutoConfigURLString": "http://x"}, "PAC"),
        script_url_alone=({"ProxyAutoConfigURLString": "http://x"}, "ProxyAutoConfigURLString.*PAC"),
        script_text=({"ProxyAutoConfigJavaScript": "x"}, "PAC"),
        discovery=({"ProxyAutoDiscoveryEnable": 1}, "PAC"),
        discovery_besides=({"ProxyAutoConfigEnable": 0, "ProxyAutoDiscoveryEnable": 1}, "PAC"),
        misspelled=({"HTTPSPorxy": "sesame"}, "HTTPSPorxy"),
        control_characters=({"HTTP\r\nX": 1}, r"HTTP\\\\r"),
        user_in_the_host=({**HTTP, "HTTPProxy": "alice:sesame@h"}, "HTTPProxy.*alone"),
        a_url=({**HTTP, "HTTPProxy": "http://sesame"}, "HTTPProxy and HTTPPort"),
        no_host=({**HTTP, "HTTPProxy": ""}, "HTTPProxy and HTTPPort"),
        port_in_the_host=({**HTTP, "HTTPProxy": "h:80"}, "HTTPProxy and HTTPPort"),
        line_end=({**HTTP, "HTTPProxy": "h\r\nX"}, "HTTPProxy and HTTPPort"),
        port_0=({**HTTP, "HTTPPort": 0}, "HTTPProxy and HTTPPort"),
        a_high_port=({**HTTP, "HTTPPort": 65536}, "HTTPProxy and HTTPPort"),
        a_negative_port=({**SOCKS, "SOCKSPort": -1}, "SOCKSProxy and SOCKSPort"),
    )
    def test_no_sense(self, value: Dict[str, Any], message: str) -> None:
        """ValueError that names the key, and does not show what may be a secret; scripts are refused as such."""
        with self.assertRaisesRegex(ValueError, message) as caught:
            check_proxy_dictionary(value)
        self.assertNotIn("sesame", str(caught.exception))

    @cases(
        text=("http://p", "str"),
        pairs=([("HTTPEnable", 1)], "list"),
        key=({1: 1}, "int"),
        switch=({"HTTPEnable": "1"}, "HTTPEnable"),
        script_switch=({"ProxyAutoConfigEnable": "0"}, "ProxyAutoConfigEnable"),
        simple=({"ExcludeSimpleHostnames": None}, "ExcludeSimpleHostnames"),
        missing_host=({"HTTPSEnable": 1}, "HTTPSProxy"),
        host=({**HTTP, "HTTPProxy": b"h"}, "HTTPProxy"),
        port=({**HTTP, "HTTPPort": "80"}, "HTTPPort"),
        port_bool=({**HTTP, "HTTPPort": True}, "HTTPPort"),
        exceptions=({"ExceptionsList": "example.org"}, "ExceptionsList"),
        exception=({"ExceptionsList": [1]}, "ExceptionsList"),
        strange=(mock.sentinel.x, "mapping"),
    )
    def test_wrong_types(self, value: object, message: str) -> None:
        """TypeError that names the key."""
        with self.assertRaisesRegex(TypeError, message):
            check_proxy_dictionary(value)


if __name__ == "__main__":
    unittest.main()

"""Tests of `wssync.transport.proxies`: which proxy a URL takes, by configuration, environment and system."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
import urllib
import urllib.request
from typing import Dict, List, Mapping, Optional, Union
from unittest import mock

from tests.support import cases, with_cases
from wssync.errors import ConnectionRefused, HostNotFound, ProxyError, TLSError
from wssync.protocol.proxy import Proxy, parse_proxy
from wssync.protocol.urls import parse_url
from wssync.transport import proxies
from wssync.transport.proxies import choose_proxy, unreachable

PROXY = "http://proxy.example:3128"
OTHER = "http://other.example:3129"


def choose(
    url: str, found: Mapping[str, str], setting: Union[bool, str, None] = True, bypassed: Optional[List[str]] = None
) -> Optional[str]:
    """The proxy of surroundings where `found` is set and a system that excepts the hosts in `bypassed`."""
    bypass = None if bypassed is None else bypassed.__contains__
    proxy = choose_proxy(parse_url(url), setting, getproxies=lambda: found, bypass=bypass)
    return None if proxy is None else str(proxy)


@with_cases
class ConfigurationTests(unittest.TestCase):
    """What the configuration itself says."""

    @cases(name="ws://example.org/", loopback="ws://127.0.0.1/", secure="wss://localhost/")
    def test_a_url_is_for_every_host(self, url: str) -> None:
        """Rule 105: `proxy=URL` knows no exceptions, whatever the environment says."""
        self.assertEqual(choose(url, {"http": OTHER, "no": "*"}, PROXY), PROXY)

    def test_its_credentials(self) -> None:
        """The userinfo are the proxy's credentials."""
        proxy = choose_proxy(parse_url("ws://example.org"), "http://alice:sesame@proxy.example")
        self.assertEqual(proxy, Proxy("http", "proxy.example", 80, "alice", "sesame"))

    @cases(none=None, false=False)
    def test_none(self, setting: Optional[bool]) -> None:
        """None is none: the surroundings are not asked."""
        self.assertIsNone(choose("ws://example.org", {"http": PROXY, "all": PROXY}, setting))

    @cases(
        one=({"HTTPEnable": 1, "HTTPProxy": "apple.example"}, "http://apple.example:80"),
        other_scheme=({"HTTPSEnable": 1, "HTTPSProxy": "apple.example"}, None),
        empty=({}, None),
    )
    def test_a_dictionary_wins(self, dictionary: Dict[str, object], expected: Optional[str]) -> None:
        """Rule 104: given a dictionary, an empty one too, neither `proxy` nor the surroundings are looked at."""
        for setting in (True, None, PROXY):
            proxy = choose_proxy(
                parse_url("ws://example.org"), setting, dictionary, getproxies=lambda: {"http": OTHER, "all": OTHER}
            )
            self.assertEqual(None if proxy is None else str(proxy), expected)


@with_cases
class SurroundingsTests(unittest.TestCase):
    """`proxy=True`: what the environment and the system say."""

    @cases(
        ws=("ws://example.org", {"http": PROXY, "https": OTHER}, PROXY),
        wss=("wss://example.org", {"http": OTHER, "https": PROXY}, PROXY),
        ws_of_its_own=("ws://example.org", {"ws": PROXY, "http": OTHER, "wss": OTHER}, PROXY),
        wss_of_its_own=("wss://example.org", {"wss": PROXY, "https": OTHER, "ws": OTHER}, PROXY),
        ws_not_by_https=("ws://example.org", {"https": OTHER}, None),
        wss_not_by_http=("wss://example.org", {"http": OTHER}, None),
        socks_last=("wss://example.org", {"https": PROXY, "socks": "socks5://s", "all": OTHER}, PROXY),
        socks_last_for_ws=("ws://example.org", {"http": PROXY, "socks": "socks5://s", "all": OTHER}, PROXY),
        socks=("ws://example.org", {"https": PROXY, "socks": "socks5h://s", "all": OTHER}, "socks5://s:1080"),
        all=("ws://example.org", {"all": PROXY}, PROXY),
        empty=("ws://example.org", {"http": "", "all": PROXY}, PROXY),
        nothing=("ws://example.org", {}, None),
        others=("ws://example.org", {"ftp": PROXY, "no": "x"}, None),
        http_by_socks=("ws://example.org", {"http": "socks5://s:1"}, "socks5://s:1"),
        without_scheme=("ws://example.org", {"http": "proxy.example:3128"}, PROXY),
        macos=("ws://example.org", {"socks": "http://s:1081"}, "socks5://s:1081"),
        windows=("ws://example.org", {"socks": "socks://s:1081"}, "socks5://s:1081"),
        bare_socks=("ws://example.org", {"socks": "s:1081"}, "socks5://s:1081"),
        socks4a=("ws://example.org", {"socks": "SOCKS4A://s"}, "socks4a://s:1080"),
    )
    def test_which(self, url: str, found: Dict[str, str], expected: Optional[str]) -> None:
        """Rules 103 and 104: wss goes by https, ws by http, each by its own name first, then SOCKS, then all."""
        self.assertEqual(choose(url, found), expected)

    @cases(
        listed=("wss://example.org", {"no": "a, example.org"}, None, True),
        below=("wss://a.example.org", {"no": "example.org"}, None, True),
        not_listed=("wss://evilexample.org", {"no": "example.org"}, None, False),
        network=("wss://192.0.2.1", {"no": "192.0.2.0/24"}, None, True),
        all=("wss://example.org", {"no": "*"}, None, True),
        by_the_system=("wss://example.org.", {}, ["example.org"], True),
        not_by_the_system=("wss://example.org", {}, ["example.com"], False),
        the_environment_has_its_own=("wss://example.org", {"no": "x"}, ["example.org"], False),
        loopback=("wss://localhost", {}, None, True),
        loopback_address=("ws://127.0.0.9", {}, None, True),
        loopback_ipv6=("ws://[::1]", {}, None, True),
    )
    def test_exceptions(self, url: str, more: Dict[str, str], bypassed: Optional[List[str]], expected: bool) -> None:
        """Rule 105: `no_proxy`, else the system's exceptions, and loopback always."""
        self.assertEqual(choose(url, {"all": PROXY, **more}, bypassed=bypassed) is None, expected)

    @cases(
        scheme=({"https": "ftp://alice:sesame@p"}, "https proxy"),
        socks=({"socks": "socks4://p"}, "socks4a"),
        line_end=({"all": "http://alice:sesame@p\r\nX: y"}, "all proxy"),
    )
    def test_junk(self, found: Dict[str, str], hint: str) -> None:
        """What is no proxy is an error that says where it stands, not a connection without one; no secret is shown."""
        with self.assertRaisesRegex(ProxyError, hint) as caught:
            choose("wss://example.org", found)
        self.assertIsInstance(caught.exception.__cause__, ValueError)
        self.assertNotIn("sesame", f"{caught.exception} {caught.exception.__cause__}")

    def test_junk_for_others(self) -> None:
        """What is wrong with a proxy that is not needed disturbs nobody."""
        self.assertIsNone(choose("wss://example.org", {"https": "\r\n", "no": "example.org"}))
        self.assertIsNone(choose("wss://example.org", {"http": "\r\n"}))


@with_cases
class EnvironmentTests(unittest.TestCase):
    """The real environment, through `urllib.request`, as if this were no macOS and no Windows."""

    def choose(self, url: str, **environment: str) -> Optional[str]:
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(urllib.request, "getproxies", urllib.request.getproxies_environment),
        ):
            proxy = choose_proxy(parse_url(url), True)
        return None if proxy is None else str(proxy)

    @cases(
        lower=("ws://example.org", {"http_proxy": PROXY}, PROXY),
        upper=("wss://example.org", {"HTTPS_PROXY": PROXY}, PROXY),
        all=("ws://example.org", {"ALL_PROXY": PROXY}, PROXY),
        wss=("wss://example.org", {"WSS_PROXY": PROXY, "HTTPS_PROXY": OTHER}, PROXY),
        lower_first=("ws://example.org", {"http_proxy": PROXY, "HTTP_PROXY": OTHER}, PROXY),
        excepted=("ws://a.example.org", {"http_proxy": PROXY, "NO_PROXY": "example.org"}, None),
        not_excepted=("ws://example.com", {"http_proxy": PROXY, "NO_PROXY": "example.org"}, PROXY),
        nothing=("ws://example.org", {}, None),
        a_script=("ws://example.org", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, None),
        a_script_lower=("ws://example.org", {"http_proxy": PROXY, "REQUEST_METHOD": "GET"}, PROXY),
    )
    def test_variables(self, url: str, environment: Dict[str, str], expected: Optional[str]) -> None:
        """Rule 105: both cases of letters; in a CGI script HTTP_PROXY may be the request's own header "Proxy"."""
        self.assertEqual(self.choose(url, **environment), expected)

    @unittest.skipIf(sys.platform in ("darwin", "win32"), "the system has proxies of its own there")
    def test_nothing_is_loaded_for_nothing(self) -> None:
        """Without a variable that ends in _proxy, and for loopback with one, `urllib.request` stays unloaded."""
        program = (
            "import sys\n"
            "before = set(sys.modules)\n"  # an installation for development loads things of its own
            "from wssync.protocol.urls import parse_url\n"
            "from wssync.transport.proxies import choose_proxy\n"
            "chosen = choose_proxy(parse_url(sys.argv[1]), True)\n"
            "loaded = set(sys.modules) - before\n"
            "print(chosen, *(name in loaded for name in ('urllib.request', 'ipaddress', 'ssl')))\n"
        )
        for url, variables, expected in (
            ("ws://example.org/", {}, "None False False False"),
            ("ws://127.0.0.1/", {"http_proxy": PROXY}, "None False False False"),
            ("ws://example.org/", {"http_proxy": PROXY}, f"{PROXY} True"),
        ):
            kept = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
            done = subprocess.run(
                [sys.executable, "-c", program, url],
                env={**kept, **variables},
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual(done.stdout[: len(expected)], expected)

    def test_a_system_that_has_proxies_is_asked(self) -> None:
        """On macOS and Windows silence of the environment is no answer; the system's exceptions are asked too."""
        with (
            mock.patch.dict(os.environ, clear=True),
            mock.patch.object(proxies, "_SYSTEM_HAS_PROXIES", True),
            mock.patch.object(urllib.request, "getproxies", lambda: {"https": PROXY}),
            mock.patch.object(urllib.request, "proxy_bypass", "example.org".__eq__),
        ):
            self.assertIsNone(choose_proxy(parse_url("wss://example.org"), True))
            self.assertEqual(choose_proxy(parse_url("wss://example.com"), True), parse_proxy(PROXY))

    def test_who_has_replaced_it_is_heard(self) -> None:
        """Where `urllib.request` is loaded it is asked, so that a program can put its own `getproxies` there."""
        with (
            mock.patch.dict(os.environ, clear=True),
            mock.patch.object(proxies, "_SYSTEM_HAS_PROXIES", False),
            mock.patch.object(urllib.request, "getproxies", lambda: {"http": PROXY}),
        ):
            self.assertEqual(choose_proxy(parse_url("ws://example.org"), True), parse_proxy(PROXY))

    def test_at_a_glance(self) -> None:
        """`urllib.request` is loaded where a variable may be for it, or the system has proxies of its own."""
        self.addCleanup(setattr, urllib, "request", urllib.request)  # a second import would leave another there
        bare = {name: module for name, module in sys.modules.items() if name != "urllib.request"}
        for variable, system, loaded in (("PATH", False, False), ("X_Proxy", False, True), ("PATH", True, True)):
            with (
                self.subTest(variable=variable, system=system),
                mock.patch.object(proxies, "_SYSTEM_HAS_PROXIES", system),
                mock.patch.dict(sys.modules, bare, clear=True),
                mock.patch.dict(os.environ, {variable: "x"}, clear=True),
            ):
                self.assertIsNone(choose_proxy(parse_url("ws://example.org"), True))
                self.assertEqual("urllib.request" in sys.modules, loaded)


class UnreachableTests(unittest.TestCase):
    def test_the_error_is_the_proxys(self) -> None:
        """A proxy that cannot be reached is a ProxyError that names it, with number and URL of what happened."""
        for error in (
            ConnectionRefused("could not connect", url="ws://example.org/"),
            HostNotFound("unknown", url="ws://example.org/"),
            TLSError("bad", url="ws://example.org/", url_error_code=-1206),
        ):
            made = unreachable(parse_proxy("http://alice:sesame@proxy.example:3128"), error)
            self.assertEqual((made.url, made.url_error_code), (error.url, error.url_error_code))
            self.assertEqual(str(made), f"the proxy http://proxy.example:3128: {error}")


if __name__ == "__main__":
    unittest.main()

"""The configuration of a session: its defaults, its copies, and what it refuses."""

from __future__ import annotations

import dataclasses
import ssl
import unittest
from http.cookiejar import CookieJar

from wssync import CookieAcceptPolicy, CredentialStorage, DeflateOptions, Headers, SessionConfiguration
from wssync.cookies.exchange import LateJar


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
            "http_should_set_cookies": True,
            "http_cookie_accept_policy": CookieAcceptPolicy.ONLY_FROM_MAIN_DOCUMENT_DOMAIN,
            "waits_for_connectivity": False,
            "truststore": False,
            "certificate_pins": (),
            "proxy": True,
            "connection_proxy_dictionary": None,
            "max_redirects": 20,
            "redirect_headers": (),
            "netrc": False,
            "trace": None,
            "source_address": None,
            "unix_path": None,
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
            tls_maximum_supported_protocol_version=None,
            proxy=None,
            ssl_context=None,
            connection_proxy_dictionary=None,
            http_cookie_storage=None,
            url_credential_storage=None,
            certificate_pins=(),
            source_address=None,
            unix_path=None,
            trace=None,
        )
        self.assertIsNone(configuration.cookie_jar)
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

    def test_names_are_kept_as_given(self) -> None:
        """Lists become tuples, dictionaries copies: what is frozen does not change behind one's back."""
        names, proxies = ["X-A"], {"HTTPEnable": 1, "HTTPProxy": "p", "HTTPPort": 8080}
        configuration = SessionConfiguration(redirect_headers=names, connection_proxy_dictionary=proxies)
        names.append("X-B")
        proxies["HTTPEnable"] = 0
        self.assertEqual(configuration.redirect_headers, ("X-A",))
        assert configuration.connection_proxy_dictionary is not None
        self.assertEqual(configuration.connection_proxy_dictionary["HTTPEnable"], 1)

    def test_pins_that_can_be_read_once(self) -> None:
        """They bind, and names cross, whatever they are given as; or a generator would have switched pinning off."""
        pins = ["sha256/" + "A" * 43 + "="]
        configuration = SessionConfiguration(certificate_pins=iter(pins), redirect_headers=iter(["X-A"]))  # type: ignore[arg-type]
        self.assertEqual((configuration.certificate_pins, configuration.redirect_headers), (tuple(pins), ("X-A",)))
        with self.assertRaises(ValueError):
            configuration.replace(certificate_pins=iter(["sha256/x"]))

    def test_what_it_shows(self) -> None:
        """What was given, in order, without the secrets in it."""
        configuration = SessionConfiguration(
            proxy="http://user:secret@proxy.test:8080",
            http_cookie_storage=CookieJar(),
            url_credential_storage=None,
            http_additional_headers=Headers({"Authorization": "secret"}),
            connection_proxy_dictionary={"HTTPEnable": 0, "HTTPProxy": "secret"},
        )
        self.assertRegex(repr(configuration), r"SessionConfiguration\(http_additional_headers=Headers")
        self.assertIn("http_cookie_storage=<CookieJar>, url_credential_storage=None", repr(configuration))
        self.assertIn("proxy='http://***@proxy.test:8080'", repr(configuration))
        self.assertNotIn("secret", repr(configuration))
        self.assertEqual(repr(SessionConfiguration(proxy=None)), "SessionConfiguration(proxy=None)")

    def test_a_proxy_without_a_scheme(self) -> None:
        """As environments have it: its password is no more to be seen than that of a URL."""
        shown = {"user:secret@proxy.test:80": "***@proxy.test:80", "proxy.test:80": "proxy.test:80"}
        for text, expected in shown.items():
            self.assertEqual(repr(SessionConfiguration(proxy=text)), f"SessionConfiguration(proxy={expected!r})")


class StoresTests(unittest.TestCase):
    """Where cookies and credentials are."""

    def test_default_ones_are_shared(self) -> None:
        """Rule 95: all default configurations, and their copies, have one jar and one store."""
        one, other = SessionConfiguration.default(), SessionConfiguration(close_timeout=1)
        self.assertIs(one.http_cookie_storage, other.http_cookie_storage)
        self.assertIs(one.url_credential_storage, other.replace(close_timeout=2).url_credential_storage)

    def test_the_credentials_of_the_process(self) -> None:
        """Rule 95: what is put into `CredentialStorage.shared()` is what default configurations find."""
        self.assertIs(SessionConfiguration.default().url_credential_storage, CredentialStorage.shared())
        self.assertIsNot(SessionConfiguration.ephemeral().url_credential_storage, CredentialStorage.shared())

    def test_ephemeral_ones_are_not(self) -> None:
        """Rule 95: each has its own, which its copies share."""
        one, other = SessionConfiguration.ephemeral(), SessionConfiguration.ephemeral()
        copy = one.replace(close_timeout=1)
        self.assertIs(one.http_cookie_storage, copy.http_cookie_storage)
        self.assertIs(one.url_credential_storage, copy.url_credential_storage)
        for found in (other, SessionConfiguration.default()):
            self.assertIsNot(one.http_cookie_storage, found.http_cookie_storage)
            self.assertIsNot(one.url_credential_storage, found.url_credential_storage)

    def test_those_that_are_given(self) -> None:
        """A jar and a store of one's own, or none."""
        jar, storage = CookieJar(), CredentialStorage()
        configuration = SessionConfiguration(http_cookie_storage=jar, url_credential_storage=storage)
        self.assertIs(configuration.http_cookie_storage, jar)
        self.assertIs(configuration.cookie_jar, jar)
        self.assertIs(configuration.url_credential_storage, storage)
        self.assertIs(configuration.given("url_credential_storage"), storage)
        self.assertIsNone(SessionConfiguration(http_cookie_storage=None).cookie_jar)

    def test_none_is_made_before_it_is_needed(self) -> None:
        """Looking for cookies makes no jar; asking for it by name does."""
        configuration = SessionConfiguration.ephemeral()
        jar = configuration.cookie_jar
        assert isinstance(jar, LateJar)
        self.assertIsNone(jar.peek())
        self.assertIs(configuration.http_cookie_storage, jar.peek())

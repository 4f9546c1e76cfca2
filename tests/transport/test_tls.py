"""Tests of `wssync.transport.tls`."""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
import unittest
import warnings
from typing import Optional, Union
from unittest import mock

import certifi

from tests.support import cases, with_cases
from tests.transport.support import ca_file
from tests.transport.test_trust import client_certificate, encrypted
from wssync.errors import CertificateError, ConnectionClosed, ConnectionFailed, TLSError
from wssync.transport.tls import (
    check_context,
    client_refusal,
    load_identity,
    make_context,
    make_unverified_context,
    translate_tls_error,
)


class ContextTests(unittest.TestCase):
    """The context of a `wss:` connection by default."""

    def test_certificate_and_name_are_checked(self) -> None:
        """Rule 97: both checks are on."""
        context = make_context()
        self.assertEqual(context.verify_mode, ssl.CERT_REQUIRED)
        self.assertTrue(context.check_hostname)

    def test_certifis_roots_are_trusted(self) -> None:
        """Without a file of one's own the trusted roots are certifi's."""
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        theirs.load_verify_locations(certifi.where())
        self.assertEqual(make_context().cert_store_stats(), theirs.cert_store_stats())

    def test_a_file_takes_their_place(self) -> None:
        """With `cafile` only the roots in that file are trusted, not certifi's besides."""
        self.assertEqual(make_context(cafile=ca_file()).cert_store_stats()["x509_ca"], 1)

    def test_a_file_that_is_none_is_the_callers_mistake(self) -> None:
        """A missing file, or one without certificates, is an OSError at once."""
        with self.assertRaises(FileNotFoundError):
            make_context(cafile="/nowhere/at/all.pem")
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "empty.pem")
            with open(path, "w", encoding="ascii"):
                pass
            with self.assertRaises(OSError):
                make_context(cafile=path)

    def test_tls_1_2_at_least(self) -> None:
        """By default the oldest version is 1.2, on every Python, and the newest is not limited."""
        context = make_context()
        self.assertEqual(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        self.assertEqual(context.maximum_version, ssl.TLSVersion.MAXIMUM_SUPPORTED)

    def test_the_versions_can_be_chosen(self) -> None:
        """Both ends of the range are taken as given, also when they are the same."""
        context = make_context(minimum=ssl.TLSVersion.TLSv1_3, maximum=ssl.TLSVersion.TLSv1_3)
        self.assertEqual(context.minimum_version, ssl.TLSVersion.TLSv1_3)
        self.assertEqual(context.maximum_version, ssl.TLSVersion.TLSv1_3)
        newest = make_context(minimum=ssl.TLSVersion.TLSv1_3, maximum=ssl.TLSVersion.MAXIMUM_SUPPORTED)
        self.assertEqual(newest.maximum_version, ssl.TLSVersion.MAXIMUM_SUPPORTED)

    def test_an_empty_range_is_a_mistake(self) -> None:
        """A maximum below the minimum is a ValueError, not a handshake that fails later."""
        with self.assertRaisesRegex(ValueError, "TLSv1_2 is below the minimum TLSv1_3"):
            make_context(minimum=ssl.TLSVersion.TLSv1_3, maximum=ssl.TLSVersion.TLSv1_2)

    def test_renegotiation_is_refused_and_truncation_seen(self) -> None:
        """Rule 177: the option that hides a cut stream is off on every Python; renegotiation is off."""
        options = make_context().options
        self.assertTrue(options & ssl.OP_NO_RENEGOTIATION)
        self.assertFalse(options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0))

    def test_alpn_offers_http_1_1_alone(self) -> None:
        """Rule 102: a server that would rather speak HTTP/2 is offered http/1.1 and nothing else."""
        with mock.patch.object(ssl.SSLContext, "set_alpn_protocols") as offered:
            make_context()
        offered.assert_called_once_with(["http/1.1"])

    def test_a_key_log_is_written_where_the_environment_asks(self) -> None:
        """SSLKEYLOGFILE is honoured, as by `ssl.create_default_context`; without it there is none."""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "keys")
            with mock.patch.dict(os.environ, SSLKEYLOGFILE=path):
                context = make_context()
                self.assertEqual(context.keylog_filename, path)
                del context
        with mock.patch.dict(os.environ):
            os.environ.pop("SSLKEYLOGFILE", None)
            self.assertIsNone(make_context().keylog_filename)

    def test_the_common_name_does_not_count(self) -> None:
        """Rule 97: nor can a name be looked for where none belongs."""
        self.assertFalse(make_context().hostname_checks_common_name)

    def test_one_kind_of_roots(self) -> None:
        """A file of roots and the system's at once is a mistake; without the package its name is told."""
        with self.assertRaisesRegex(ValueError, "not both"):
            make_context(truststore=True, cafile=ca_file())
        with mock.patch.dict("sys.modules", truststore=None), self.assertRaisesRegex(RuntimeError, "truststore"):
            make_context(truststore=True)

    def test_the_system_s_roots(self) -> None:
        """`truststore` gives the context, which gets versions, ALPN, options and key log as ours has them."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        package = mock.Mock(**{"SSLContext.return_value": made})
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "keys")
            with mock.patch.dict("sys.modules", truststore=package), mock.patch.dict(os.environ, SSLKEYLOGFILE=path):
                context = make_context(truststore=True, minimum=ssl.TLSVersion.TLSv1_3)
            self.assertIs(context, made)
            self.assertEqual(context.keylog_filename, path)
            del context, made
            package.reset_mock(return_value=True)  # the mock, too, holds the context, which holds the file open

    def test_one_that_verifies_nothing(self) -> None:
        """It differs from the other in that alone: versions, options, ALPN and key log are the same."""
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "keys")
            with (
                mock.patch.dict(os.environ, SSLKEYLOGFILE=path),
                mock.patch.object(ssl.SSLContext, "set_alpn_protocols") as offered,
            ):
                context = make_unverified_context(minimum=ssl.TLSVersion.TLSv1_3, maximum=ssl.TLSVersion.TLSv1_3)
            offered.assert_called_once_with(["http/1.1"])
            self.assertEqual((context.verify_mode, context.check_hostname), (ssl.CERT_NONE, False))
            self.assertEqual(context.keylog_filename, path)
            self.assertEqual(context.minimum_version, ssl.TLSVersion.TLSv1_3)
            self.assertEqual(context.maximum_version, ssl.TLSVersion.TLSv1_3)
            self.assertTrue(context.options & ssl.OP_NO_RENEGOTIATION)
            del context
        with self.assertRaises(ValueError):
            make_unverified_context(minimum=ssl.TLSVersion.TLSv1_3, maximum=ssl.TLSVersion.TLSv1_2)

    def test_no_key_log_where_the_environment_is_ignored(self) -> None:
        """`python -E` hides the variable from this kind of context too."""
        with mock.patch.dict(os.environ, SSLKEYLOGFILE="/nowhere/at/all"), mock.patch.object(sys, "flags") as flags:
            flags.ignore_environment = True
            self.assertIsNone(make_unverified_context().keylog_filename)


@with_cases
class IdentityTests(unittest.TestCase):
    """Rule 101: `load_identity`, whose files may be wrong in many ways."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        certificate, other = client_certificate(), client_certificate(False)
        files = {
            "chain": certificate.cert_chain_pems[0].bytes(),
            "key": encrypted(certificate, None),
            "locked": encrypted(certificate, b"open sesame"),
            "other": encrypted(other, None),
            "both": certificate.private_key_and_cert_chain_pem.bytes(),
            "empty": b"",
        }
        self.paths = {name: os.path.join(directory.name, name) for name in (*files, "missing")}
        for name, content in files.items():
            with open(self.paths[name], "wb") as file:
                file.write(content)

    def load(self, chain: str, key: Optional[str], password: Union[str, bytes, None]) -> None:
        load_identity(make_unverified_context(), (self.paths[chain], self.paths[key] if key else None, password))

    @cases(
        in_one_file=("both", None, None),
        in_two=("chain", "key", None),
        encrypted=("chain", "locked", "open sesame"),
        a_password_as_bytes=("chain", "locked", b"open sesame"),
        a_password_that_is_not_needed=("chain", "key", "open sesame"),
    )
    def test_good_files(self, chain: str, key: Optional[str], password: Union[str, bytes, None]) -> None:
        """Rule 101: key and chain in one file or in two, with and without a password."""
        self.load(chain, key, password)

    @cases(
        no_file=("missing", None, None, "No such file"),
        no_key_file=("chain", "missing", None, "No such file"),
        no_certificate=("key", None, None, "PEM"),
        no_key=("chain", None, None, "PEM"),
        nothing=("empty", None, None, ""),
        another_key=("chain", "other", None, "MISMATCH|mismatch"),
        no_password=("chain", "locked", None, "encrypted and no password"),
        a_wrong_password=("chain", "locked", "swordfish", "PEM"),
        an_empty_password=("chain", "locked", "", ""),
        an_endless_password=("chain", "locked", "swordfish" * 1000, "longer than"),
    )
    def test_bad_files(self, chain: str, key: Optional[str], password: Optional[str], reason: str) -> None:
        """Rule 101: a TLSError (-1200) that names the files and has the reason as its cause, but not the password."""
        with self.assertRaisesRegex(TLSError, reason) as caught:
            self.load(chain, key, password)
        error = caught.exception
        self.assertEqual(error.url_error_code, -1200)
        self.assertIn(self.paths[chain], str(error))
        self.assertIn(self.paths[key or chain], str(error))
        for text in (repr(error), str(error), repr(error.__cause__)):
            self.assertNotIn("swordfish", text)

    def test_a_context_with_one(self) -> None:
        """Both kinds of context load it when they are made."""
        for make in (make_context, make_unverified_context):
            make(identity=(self.paths["both"], None, None))
            with self.assertRaises(TLSError):
                make(identity=(self.paths["missing"], None, None))


class OwnContextTests(unittest.TestCase):
    """`check_context`: no check is left out by accident."""

    def test_one_that_checks(self) -> None:
        """And one that was told not to, in so many words."""
        context = ssl.create_default_context()
        check_context(context)
        context.check_hostname = False
        check_context(context)
        context.verify_mode = ssl.CERT_NONE
        check_context(context)

    def test_one_for_servers(self) -> None:
        """It is refused."""
        with self.assertRaisesRegex(ValueError, "for servers"):
            check_context(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def bare(self) -> ssl.SSLContext:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return ssl.SSLContext(ssl.PROTOCOL_TLS)

    def test_a_bare_one(self) -> None:
        """It checks nothing, or with CERT_REQUIRED no name, which nobody asked for: refused, where Python can tell."""
        context = self.bare()
        for mode in (ssl.CERT_NONE, ssl.CERT_REQUIRED):
            context.verify_mode = mode
            with mock.patch.object(sys, "version_info", (3, 10)), self.assertRaisesRegex(ValueError, "host name"):
                check_context(context)
            with mock.patch.object(sys, "version_info", (3, 9)):
                check_context(context)  # `ssl.create_default_context` makes the same there
        context.check_hostname = True
        check_context(context)


def refused(code: int, message: str = "no good") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def alert(reason: Optional[str]) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] an alert")
    if reason is not None:
        error.reason = reason
    return error


@with_cases
class TranslationTests(unittest.TestCase):
    """What a failed handshake is called."""

    @cases(
        not_yet_valid=(9, -1204),
        expired=(10, -1201),
        bad_not_before=(13, -1201),
        bad_not_after=(14, -1201),
        self_signed=(18, -1203),
        self_signed_in_the_chain=(19, -1203),
        no_local_issuer=(20, -1203),
        no_issuer=(2, -1203),
        first_not_verifiable=(21, -1203),
        revoked=(23, -1202),
        another_host=(62, -1202),
        another_address=(64, -1202),
    )
    def test_a_refused_certificate(self, verify_code: int, expected: int) -> None:
        """Rule 100: OpenSSL's reason decides the number; the error is a CertificateError that says why."""
        error = translate_tls_error(refused(verify_code), "wss://example.org/")
        self.assertIs(type(error), CertificateError)
        self.assertEqual(error.url_error_code, expected)
        self.assertEqual(error.url, "wss://example.org/")
        self.assertIn("no good", str(error))

    def test_a_refusal_without_details(self) -> None:
        """A verification error that another library raised, without OpenSSL's fields, is -1202 with its own words."""
        error = translate_tls_error(ssl.SSLCertVerificationError("pins do not match"))
        self.assertEqual((error.url_error_code, error.url), (-1202, None))
        self.assertIn("pins do not match", str(error))

    @cases(
        certificate_required=("TLSV13_ALERT_CERTIFICATE_REQUIRED", -1206),
        certificate_unknown=("SSLV3_ALERT_CERTIFICATE_UNKNOWN", -1205),
        bad_certificate=("SSLV3_ALERT_BAD_CERTIFICATE", -1205),
        unsupported=("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", -1205),
        revoked=("SSLV3_ALERT_CERTIFICATE_REVOKED", -1205),
        expired=("SSLV3_ALERT_CERTIFICATE_EXPIRED", -1205),
        unknown_authority=("TLSV1_ALERT_UNKNOWN_CA", -1205),
        access_denied=("TLSV1_ALERT_ACCESS_DENIED", -1205),
        handshake_failure=("SSLV3_ALERT_HANDSHAKE_FAILURE", -1200),
        wrong_version=("WRONG_VERSION_NUMBER", -1200),
        no_reason=(None, -1200),
    )
    def test_another_failure(self, reason: Optional[str], expected: int) -> None:
        """Rule 100: an alert about our certificate has its number, every other failure is -1200; all are TLSError."""
        error = translate_tls_error(alert(reason), "wss://example.org/")
        self.assertIs(type(error), TLSError)
        self.assertEqual(error.url_error_code, expected)

    def test_any_error_can_be_translated(self) -> None:
        """A reset, or a name that TLS cannot use, is a failed handshake as well; it is a failed connection."""
        for cause in (ConnectionResetError(104, "reset"), ValueError("bad name")):
            error = translate_tls_error(cause)
            self.assertEqual((type(error), error.url_error_code), (TLSError, -1200))
            self.assertIsInstance(error, ConnectionFailed)
            self.assertIn(str(cause), str(error))

    def test_a_refusal_after_the_handshake(self) -> None:
        """Rule 100: TLS 1.3 tells it as the end of the connection; other ends are none of its kind."""
        ended = ConnectionClosed("the connection was lost")
        self.assertIsNone(client_refusal(ended))
        for cause in (ConnectionResetError(), alert("UNEXPECTED_EOF_WHILE_READING")):
            ended.__cause__ = cause
            self.assertIsNone(client_refusal(ended))
        ended.__cause__ = alert("TLSV13_ALERT_CERTIFICATE_REQUIRED")
        error = client_refusal(ended, "wss://example.org/")
        assert error is not None
        self.assertEqual((error.url_error_code, error.url), (-1206, "wss://example.org/"))


if __name__ == "__main__":
    unittest.main()

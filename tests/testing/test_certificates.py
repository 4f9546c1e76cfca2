"""Tests of `wssync.testing.certificates`."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from typing import Any, Dict, List
from unittest import mock

from wssync.testing import certificates as module
from wssync.testing.certificates import Certificates, certificates, make_server_context, write_authority

from .client import needs_trustme


def shake_hands(server_context: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """A handshake in memory with a client that trusts the authority and nothing else; the client's side."""
    client_context = ssl.create_default_context(cadata=certificates().authority.decode())
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    client_context.set_alpn_protocols(["http/1.1"])
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(down, up, server_hostname=host)
    server = server_context.wrap_bio(up, down, server_side=True)
    pending = [client, server]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(side)
    assert not pending
    return client


@needs_trustme
class TrustTests(unittest.TestCase):
    """What a client that trusts the authority accepts."""

    def test_the_names_of_the_machine_itself_are_accepted(self) -> None:
        """localhost, 127.0.0.1 and ::1 pass the strictest verification there is."""
        for host in ("localhost", "127.0.0.1", "::1"):
            with self.subTest(host=host):
                self.assertEqual(shake_hands(make_server_context(), host).selected_alpn_protocol(), "http/1.1")

    def test_no_other_name_is_accepted(self) -> None:
        """The certificate stands for nothing beyond this machine."""
        for host in ("example.com", "127.0.0.2", "a.localhost"):
            with self.subTest(host=host), self.assertRaises(ssl.SSLCertVerificationError):
                shake_hands(make_server_context(), host)

    def test_it_is_valid_for_two_days_from_an_hour_ago(self) -> None:
        """Nobody can do much with it later."""
        certificate: Dict[str, Any] = shake_hands(make_server_context(), "localhost").getpeercert() or {}
        start = ssl.cert_time_to_seconds(certificate["notBefore"])
        self.assertEqual(ssl.cert_time_to_seconds(certificate["notAfter"]) - start, 2 * 24 * 3600)
        self.assertAlmostEqual(time.time() - start, 3600, delta=600)

    def test_versions_before_tls_1_2_are_not_spoken(self) -> None:
        """The server's context begins with TLS 1.2 and never renegotiates."""
        context = make_server_context()
        self.assertEqual(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        self.assertTrue(context.options & ssl.OP_NO_RENEGOTIATION)


@needs_trustme
class KeyTests(unittest.TestCase):
    """How many keys there are, and where."""

    def test_a_process_has_one_set(self) -> None:
        """Threads that ask at the same time get the same: a server's certificate always fits its `ca_file`."""
        self.addCleanup(module._make.cache_clear)
        module._make.cache_clear()
        found: List[Certificates] = []
        together = threading.Barrier(4)

        def ask() -> None:
            together.wait(20)
            found.append(certificates())

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found), 4)
        self.assertEqual(len(set(found)), 1)

    def test_another_process_has_another_set(self) -> None:
        """Neither the authority nor the server's key is shared with anybody."""
        program = "import wssync.testing.certificates as c, sys; sys.stdout.buffer.write(b'|'.join(c.certificates()))"
        run = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, timeout=60)
        authority, key_and_chain = run.stdout.split(b"|")
        self.assertIn(b"BEGIN CERTIFICATE", authority)
        self.assertNotIn(b"PRIVATE KEY", authority)
        self.assertNotEqual(authority, certificates().authority)
        self.assertNotEqual(key_and_chain, certificates().key_and_chain)

    def test_no_key_is_left_on_the_disk(self) -> None:
        """The file that the `ssl` module needs is gone when the context is made."""
        with tempfile.TemporaryDirectory() as directory, mock.patch.object(tempfile, "tempdir", directory):
            make_server_context()
            self.assertEqual(os.listdir(directory), [])

    def test_only_the_authority_is_written_for_clients(self) -> None:
        """The file in the directory given holds the certificate to trust, and no key."""
        with tempfile.TemporaryDirectory() as directory:
            path = write_authority(directory)
            self.assertEqual(os.path.dirname(path), directory)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), certificates().authority)


class MissingTests(unittest.TestCase):
    """Without the extra."""

    def test_without_trustme_the_extra_is_named(self) -> None:
        """One clear sentence says what is missing, and a later call may succeed."""
        self.addCleanup(module._make.cache_clear)
        module._make.cache_clear()
        sentence = r"^TLS needs the extra wssync\[testing\]$"
        with mock.patch.dict(sys.modules, {"trustme": None}), self.assertRaisesRegex(RuntimeError, sentence):
            make_server_context()


if __name__ == "__main__":
    unittest.main()

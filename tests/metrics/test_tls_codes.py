"""The numbers of TLS."""

from __future__ import annotations

import unittest

from wssync.metrics.tls_codes import cipher_suite_code, protocol_version_code


class CodeTests(unittest.TestCase):
    def test_versions(self) -> None:
        """Section 1.6: 0x0301 to 0x0304 (RFC 8446 section 4.1.2)."""
        names = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
        self.assertEqual([protocol_version_code(name) for name in names], [0x0301, 0x0302, 0x0303, 0x0304])
        self.assertIsNone(protocol_version_code("TLSv9"))

    def test_cipher_suites(self) -> None:
        """Section 1.6: the numbers of RFC 8446 section B.4 and RFC 5289 section 5."""
        names = ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"]
        self.assertEqual([cipher_suite_code(name) for name in names], [0x1301, 0x1303, 0xC02F])
        self.assertIsNone(cipher_suite_code("a suite"))

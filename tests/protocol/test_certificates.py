"""`wssync.protocol.certificates`: the public key in a certificate, and pins of it."""

from __future__ import annotations

import base64
import hashlib
import random
import unittest
from typing import Any, Tuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import cases, with_cases
from wssync.errors import CertificateError
from wssync.protocol.certificates import check_pins, pin_of, public_key_of

PIN = "sha256/" + base64.b64encode(bytes(range(32))).decode()


def der(tag: int, *contents: bytes) -> bytes:
    """An element, its length in the shortest form."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(size)]) + size + content


ALGORITHM = der(0x30, der(0x06, b"\x2a\x03"))
KEY = der(0x30, ALGORITHM, der(0x03, b"\0key"))
NAME = der(0x30)
SERIAL = der(0x02, b"\x01")
VERSION = der(0xA0, der(0x02, b"\x02"))
FIELDS: Tuple[bytes, ...] = (VERSION, SERIAL, ALGORITHM, NAME, der(0x30), NAME, KEY)


def certificate(*fields: bytes, rest: bytes = b"") -> bytes:
    return der(0x30, der(0x30, *fields), ALGORITHM, der(0x03, b"\0"), rest)


def to_der(pem: bytes) -> Tuple[x509.Certificate, bytes]:
    read = x509.load_pem_x509_certificate(pem)
    return read, read.public_bytes(Encoding.DER)


@with_cases
class PublicKeyTests(unittest.TestCase):
    """`public_key_of`: where the key stands."""

    @cases(rsa=trustme.KeyType.RSA, elliptic=trustme.KeyType.ECDSA)
    def test_a_real_certificate(self, kind: trustme.KeyType) -> None:
        """The key's bytes are those that another library finds, in a root and in a certificate with many names."""
        authority = trustme.CA(key_type=kind)
        names = [f"host-{number}.example.org" for number in range(100)]
        for pem in (authority.cert_pem, authority.issue_cert(*names, key_type=kind).cert_chain_pems[0]):
            read, data = to_der(pem.bytes())
            expected = read.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self.assertEqual(public_key_of(data), expected)
            self.assertEqual(pin_of(data), "sha256/" + base64.b64encode(hashlib.sha256(expected).digest()).decode())

    def test_the_first_version_of_the_format(self) -> None:
        """RFC 5280 section 4.1: version 1 is the default, and not written."""
        self.assertEqual(public_key_of(certificate(*FIELDS)), KEY)
        self.assertEqual(public_key_of(certificate(*FIELDS[1:])), KEY)

    def test_a_long_one(self) -> None:
        """Lengths of one byte and of two; and what stands behind the signed part is not read either."""
        for size in (128, 255, 256, 65536):
            data = certificate(*FIELDS, rest=bytes(size))
            self.assertEqual(public_key_of(data), KEY)

    def test_what_follows_the_key_within_is_not_read(self) -> None:
        """Extensions may be anything."""
        self.assertEqual(public_key_of(certificate(*FIELDS, b"\xff\xff\xff")), KEY)

    @cases(
        nothing=b"",
        one_byte=b"\x30",
        a_number=SERIAL,
        no_content=der(0x30),
        an_empty_inside=der(0x30, der(0x30)),
        something_behind=certificate(*FIELDS) + b"\0",
        no_serial=certificate(VERSION, *FIELDS[2:]),
        no_key=certificate(*FIELDS[:-1]),
        an_empty_key=certificate(*FIELDS[:-1], der(0x30)),
        a_key_without_bits=certificate(*FIELDS[:-1], der(0x30, ALGORITHM)),
        a_key_and_more=certificate(*FIELDS[:-1], der(0x30, ALGORITHM, der(0x03, b"\0key"), b"\0")),
        an_algorithm_that_is_none=certificate(*FIELDS[:-1], der(0x30, SERIAL, der(0x03, b"\0key"))),
        indefinite_length=b"\x30\x80" + certificate(*FIELDS)[2:] + b"\0\0",
        a_length_of_five_bytes=b"\x30\x85\0\0\0\0\x10" + bytes(16),
        a_length_that_is_cut=b"\x30\x84\0\0",
        a_long_form_for_little=b"\x30\x81" + certificate(*FIELDS)[1:],
        a_length_with_a_zero_before=b"\x30\x82\0" + certificate(*FIELDS, rest=bytes(128))[2:],
        longer_than_the_certificate=b"\x30\x84\x7f\xff\xff\xff" + bytes(128),
        longer_than_what_it_is_in=der(0x30, b"\x30\x7f" + b"".join(FIELDS)),
        a_version_that_takes_all=certificate(der(0xA0, *FIELDS)),
    )
    def test_what_is_no_certificate(self, data: bytes) -> None:
        """Anything else than strict DER is a CertificateError."""
        with self.assertRaisesRegex(CertificateError, "cannot be read"):
            public_key_of(data)

    def test_hostile_bytes_end_in_an_error(self) -> None:
        """A certificate with bytes changed, left out, doubled or cut has a key somewhere, or is a CertificateError."""
        dice = random.Random(5280)
        _, original = to_der(trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes())
        refused = 0
        for _ in range(4000):
            data = bytearray(original)
            for _ in range(dice.randrange(1, 4)):
                place = dice.randrange(min(len(data), dice.choice((12, 200, 1 << 20))))
                change = dice.randrange(4)
                if change == 0:
                    data[place] = dice.choice((0, 0x30, 0x7F, 0x80, 0x81, 0x84, 0xFF, dice.randrange(256)))
                elif change == 1 and len(data) > 1:
                    del data[place : place + dice.randrange(1, 9)]
                elif change == 2:
                    data[place:place] = dice.randbytes(dice.randrange(1, 9))
                else:
                    del data[max(place, 1) :]
                data = data or bytearray(1)
            try:
                self.assertIn(public_key_of(bytes(data)), bytes(data))
            except CertificateError:
                refused += 1
        self.assertGreater(refused, 1000)


@with_cases
class PinTests(unittest.TestCase):
    """`check_pins`: what a configuration takes."""

    def test_pins_are_kept_as_they_are(self) -> None:
        """Any collection of str will do; none is an empty tuple."""
        self.assertEqual(check_pins([PIN]), (PIN,))
        self.assertEqual(check_pins(iter((PIN, PIN))), (PIN, PIN))
        self.assertEqual(check_pins(()), ())

    @cases(
        no_prefix=PIN[7:],
        another_hash="sha1/" + PIN[7:],
        curl_s_form="sha256//" + PIN[7:],
        upper_case="SHA256/" + PIN[7:],
        hexadecimal="sha256/" + bytes(range(32)).hex(),
        no_padding=PIN[:-1],
        too_short="sha256/" + base64.b64encode(bytes(31)).decode(),
        too_long="sha256/" + base64.b64encode(bytes(33)).decode(),
        a_space=PIN + " ",
        a_line_end=PIN + "\n",
        not_ascii="sha256/é" + PIN[8:],
        urlsafe="sha256/" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        bits_behind_the_end=PIN[:-2] + chr(ord(PIN[-2]) + 1) + "=",
        empty="",
    )
    def test_another_form(self, pin: str) -> None:
        """A pin that could never match is a ValueError at once, not a connection that is refused later."""
        with self.assertRaisesRegex(ValueError, "sha256/<base64"):
            check_pins([PIN, pin])

    @cases(a_str=PIN, bytes=PIN.encode(), none=(None,), a_number=5, bytes_within=((PIN.encode(),),))
    def test_another_type(self, pins: Any) -> None:
        """A single str is no collection of pins, and bytes are none."""
        with self.assertRaises(TypeError):
            check_pins(pins)


if __name__ == "__main__":
    unittest.main()

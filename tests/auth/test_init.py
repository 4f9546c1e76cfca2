"""What `import wssync.auth` costs."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class LoadingTests(unittest.TestCase):
    def test_it_loads_the_values_alone(self) -> None:
        """What a connection without a password does not need is loaded when it is needed; making a credential needs
        no hash.
        """
        script = (
            "import sys, wssync.auth as auth\n"
            "late = 'base64 hashlib hmac netrc secrets shlex unicodedata urllib.parse wssync.auth.answers '"
            "'wssync.auth.authenticator wssync.auth.netrc_file wssync.protocol.challenges wssync.protocol.digest'\n"
            "print(sorted(set(sys.modules) & set(late.split())))\n"
            "auth.Credential('user', 'secret')\n"
            "print('hashlib' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-S", "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        self.assertEqual(done.stdout, "[]\nFalse\n")


if __name__ == "__main__":
    unittest.main()

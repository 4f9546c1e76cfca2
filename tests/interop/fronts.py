"""nginx and apache2 before a WebSocket server of ours, asking for passwords, redirecting, setting cookies.

A front is a function of (stack, port): what it starts is put on the stack, and what is let in goes to `port`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

import wssync
from tests.interop.sessions import PASSWORD, USER, SessionTestCase, port_of
from tests.interop.starting import (
    NGINX_HEAD,
    authority_file,
    need_program,
    new_folder,
    run,
    server_certificate,
    trusting_context,
)
from tests.processes import free_port

__all__ = ["REALM", "Front", "FrontTestCase", "StartFront", "apache", "nginx"]

REALM = "a cave"


class Front(NamedTuple):
    """Where a front listens: a port in the clear, and what else it has."""

    port: int
    tls_port: Optional[int] = None
    client_tls_port: Optional[int] = None
    unix_path: Optional[str] = None

    @property
    def url(self) -> str:
        """Its root in the clear."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """Its root over TLS."""
        return f"wss://localhost:{self.tls_port}"

    @property
    def client_tls_url(self) -> str:
        """Its root over TLS that asks for a client certificate."""
        return f"wss://localhost:{self.client_tls_port}"


StartFront = Callable[[ExitStack, int], Front]

NGINX = (
    NGINX_HEAD
    + """\
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection upgrade;
    proxy_set_header X-Client $ssl_client_s_dn;
    proxy_set_header X-Protocol $ssl_protocol;
    proxy_read_timeout 60s;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        listen unix:{unix_path};
        location / {{ proxy_pass http://127.0.0.1:{origin}; }}
        location /basic {{
            auth_basic "{realm}";
            auth_basic_user_file {passwords};
            add_header Set-Cookie "asked=yes; Path=/basic" always;
            proxy_pass http://127.0.0.1:{origin};
        }}
        location = /basic/moved {{
            auth_basic "{realm}";
            auth_basic_user_file {passwords};
            rewrite ^ /basic/further redirect;
        }}
        location = /cookie {{
            add_header Set-Cookie "sid=abc; Path=/; HttpOnly" always;
            add_header Set-Cookie "theme=dark; Path=/; Max-Age=3600" always;
            add_header Set-Cookie "safe=1; Path=/; Secure" always;
            proxy_pass http://127.0.0.1:{origin};
        }}
        location = /crumb {{
            add_header Set-Cookie "hop=1; Path=/" always;
            return 302 /;
        }}
        location = /301 {{ return 301 /; }}
        location = /302 {{ return 302 /; }}
        location = /303 {{ return 303 /; }}
        location = /307 {{ return 307 /; }}
        location = /308 {{ return 308 /; }}
        location = /relative {{ absolute_redirect off; return 302 /there?and=back; }}
        location = /to-basic {{ return 302 /basic; }}
        location = /to-tls {{ return 302 https://localhost:{tls_port}/; }}
        location = /to-clear {{ return 302 http://127.0.0.1:{port}/; }}
        location = /for-ever {{ return 302 /for-ever; }}
        location = /busy {{ add_header Retry-After 1 always; return 503 "too much to do"; }}
    }}
    server {{
        listen 127.0.0.1:{client_tls_port} ssl;
        ssl_verify_client on;
        ssl_client_certificate {authority};
        location / {{ proxy_pass http://127.0.0.1:{origin}; }}
    }}
}}
"""
)


def nginx(stack: ExitStack, port: int) -> Front:
    """nginx: Basic, redirects, cookies, over TCP, TLS and a Unix socket, and TLS with client certificates."""
    program = need_program("nginx")
    folder = new_folder(stack)
    front = Front(free_port(), free_port(), free_port(), str(folder / "socket"))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        NGINX.format(
            **front._asdict(),
            origin=port,
            certificate=server_certificate(),
            authority=authority_file(),
            realm=REALM,
            passwords=_password_file(folder),
        )
    )
    run(stack, front.port, [program, "-p", folder, "-c", configuration, "-e", "stderr"], folder=folder)
    return front


def _password_file(folder: Path) -> Path:
    """User and password as nginx and apache2 know them."""
    hashed = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()
    file = folder / "passwords"
    file.write_text(f"{USER}:{{SHA}}{hashed}\n", encoding="utf-8")
    return file


APACHE_MODULES = Path("/usr/lib/apache2/modules")
"""Where Debian has them."""

APACHE_MODULE_NAMES = (
    *("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "auth_digest"),
    *("proxy", "proxy_http", "rewrite"),
)

APACHE = """\
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
DefaultRuntimeDir {folder}
Mutex file:{folder} default
ErrorLog /dev/stderr
LogLevel warn
Listen 127.0.0.1:{port}
{user}
{modules}
<LocationMatch "^/(basic|digest)">
    AuthName "{realm}"
    Require valid-user
</LocationMatch>
<Location /basic>
    AuthType Basic
    AuthUserFile {passwords}
</Location>
<Location /digest>
    AuthType Digest
    AuthDigestProvider file
    AuthUserFile {digests}
    AuthDigestQop auth
</Location>
<LocationMatch "^/(basic|digest)/moved$">
    RewriteEngine On
    RewriteRule moved$ http://127.0.0.1:{port}%{{REQUEST_URI}}/further [R=307,L]
</LocationMatch>
ProxyPass / http://127.0.0.1:{origin}/ upgrade=websocket
"""


def apache(stack: ExitStack, port: int) -> Front:
    """apache2: Basic and Digest, whose only algorithm is MD5."""
    program = need_program("apache2")
    if not APACHE_MODULES.is_dir():
        raise unittest.SkipTest(f"the modules of apache2 are not in {APACHE_MODULES}")
    folder = new_folder(stack)
    front = Front(free_port())
    digests = folder / "digests"
    secret = hashlib.md5(f"{USER}:{REALM}:{PASSWORD}".encode()).hexdigest()
    digests.write_text(f"{USER}:{REALM}:{secret}\n", encoding="utf-8")
    configuration = folder / "apache.conf"
    configuration.write_text(
        APACHE.format(
            folder=folder,
            port=front.port,
            origin=port,
            user="User www-data\nGroup www-data" if os.geteuid() == 0 else "",
            modules="\n".join(
                f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in APACHE_MODULE_NAMES
            ),
            realm=REALM,
            passwords=_password_file(folder),
            digests=digests,
        )
    )
    run(stack, front.port, [program, "-X", "-f", configuration], folder=folder)
    return front


class FrontTestCase(SessionTestCase):
    """Starts the front of the class once, before the server. The mixtures below bring the tests."""

    start: StartFront
    front: Front

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.front = cls.start(cls.stack, port_of(cls.server.url))

    def configure(self, **changes: Any) -> wssync.SessionConfiguration:
        """A configuration of its own, which trusts the front."""
        if self.front.tls_port is not None:
            changes.setdefault("ssl_context", trusting_context())
        return super().configure(**changes)

"""The stranger that everybody has: the JavaScript of a page in Chromium, driven through DevTools.

The page comes from the very server that is visited (`show_page` is an opening that serves it), so what a browser does
for a page it does here too: it says its Origin, brings the cookies that the server has set, and answers for the
password that the page was got with.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from contextlib import ExitStack
from typing import Any, Optional
from urllib.parse import urlsplit

import wssync
from tests.interop import peers
from tests.interop.strangers import LIMIT, Destination, End, Message, Refused, Stranger, Visit
from wssync.testing import ServerConnection
from wssync.testing.certificates import certificates

__all__ = ["PAGE", "Chromium", "DevTools", "ScriptFailed", "show_page"]

PAGE = "/page.html"


def show_page(connection: ServerConnection) -> None:
    """An opening that answers a request for PAGE with the page, and leaves all others alone."""
    if connection.request.target == PAGE:
        body = (peers.APPS / "page.html").read_bytes()
        connection.respond(200, headers={"Content-Type": "text/html", "Connection": "close"}, body=body)


class DevTools:
    """The DevTools protocol over an open task: methods are called, one at a time."""

    def __init__(self, task: wssync.WebSocketTask) -> None:
        self._task = task
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method; its result. AssertionError if there is none."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        self._task.send(json.dumps(message, ensure_ascii=False))
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method} failed: {answer['error']}")
                return answer["result"]

    def wait_for(self, event: str) -> None:
        """Wait until the browser tells of an event; those before it are dropped."""
        while self._next().get("method") != event:
            pass

    def run(self, function: str, *arguments: object) -> Any:
        """What a function of the page, or the promise that it returns, comes to. ScriptFailed if it throws."""
        expression = f"{function}({', '.join(json.dumps(each, ensure_ascii=False) for each in arguments)})"
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise ScriptFailed(answer["exceptionDetails"])
        return answer["result"].get("value")

    def _next(self) -> Any:
        return json.loads(self._task.receive(timeout=LIMIT))


class ScriptFailed(Exception):
    """JavaScript of the page threw."""


class Chromium(Stranger):
    """Chromium without a window. It trusts the key of `wssync.testing` and no certificate authority of ours."""

    def __init__(self, stack: ExitStack, secure: bool, proxy: Optional[str] = None) -> None:
        super().__init__(stack, secure)
        options = [f"--proxy-server={proxy.rstrip('/')}", "--proxy-bypass-list=<-loopback>"] if proxy else []
        options += [f"--ignore-certificate-errors-spki-list={_fingerprint()}"] if secure else []
        configuration = wssync.SessionConfiguration.ephemeral().replace(maximum_message_size=None)
        url = peers.chromium(stack, False, options).url
        task = stack.enter_context(wssync.connect(url, configuration=configuration, timeout=LIMIT))
        self.tools = DevTools(task)
        self.tools.call("Page.enable")

    def visit(self, stack: ExitStack, destination: Destination) -> Visit:
        """It has one page, so the visit before ends with this one. The password is for the page.

        Its proxy can only be set when it is started, so then another one is.
        """
        if destination.proxy:
            return Chromium(stack, self.secure, destination.proxy).visit(stack, destination._replace(proxy=None))
        self._open_page(destination)
        stack.callback(self.tools.call, "Page.navigate", url="about:blank")
        if destination.cookie:
            self.tools.run("setCookie", destination.cookie)
        try:
            protocol = self.tools.run("visit", destination.url, destination.protocols)
        except ScriptFailed as error:
            raise Refused from error
        return _ChromiumVisit(self.tools, protocol)

    def _open_page(self, destination: Destination) -> None:
        parts = urlsplit(destination.url)
        page = parts._replace(scheme="https" if self.secure else "http", path=PAGE).geturl()
        answer = self.tools.call("Page.navigate", url=destination.with_credentials(page))
        self.tools.wait_for("Page.loadEventFired")
        if "errorText" in answer:
            raise Refused from ScriptFailed(answer["errorText"])


class _ChromiumVisit(Visit):
    def __init__(self, tools: DevTools, protocol: str) -> None:
        self._tools = tools
        self.protocol = protocol or None

    def send(self, message: Message) -> None:
        if isinstance(message, str):
            self._tools.run("socket.send", message)
        else:
            self._tools.run("sendBytes", base64.b64encode(message).decode())

    def receive(self) -> Message:
        message = self._tools.run("receive")
        text: Optional[str] = message.get("text")
        return base64.b64decode(message["base64"]) if text is None else text

    def close(self, code: int, reason: str) -> Optional[End]:
        self._tools.run("socket.close", code, reason)
        return self.end()

    def end(self) -> End:
        end = self._tools.run("end")
        if not end["wasClean"]:
            raise AssertionError(f"the browser calls the end unclean: {end}")
        return end["code"], end["reason"]


def _fingerprint() -> str:
    """The key of this process's servers as Chromium names it: the SHA-256 of its SubjectPublicKeyInfo, in base64."""
    from cryptography import x509  # comes with trustme, and is needed over TLS alone
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    chain = x509.load_pem_x509_certificates(certificates().key_and_chain)
    key = chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(key).digest()).decode()

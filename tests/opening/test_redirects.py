"""Redirects, from the outside: where they lead, who may change that, and what goes along."""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Optional

from tests.opening.support import PATIENCE, SECRET, Delegate, OpeningTestCase, trusting, userinfo
from tests.support import cases, with_cases
from tests.tasks import Running, needs_trustme
from wssync import HandshakeError, InsecureRedirect, Request, Response, TooManyRedirects
from wssync.testing import Server, at, inform, redirect, refuse, set_cookies


@with_cases
class FollowingTests(OpeningTestCase):
    """Rules 51 to 58."""

    @cases(moved=301, found=302, see_other=303, temporary=307, permanent=308)
    def test_each_kind_is_followed(self, status: int) -> None:
        """Rule 51: all five are, and the method stays GET."""
        server = self.serve(opening=at("/old", redirect("/new", status)))
        task = self.connect("/old")
        task.send("there")
        self.assertReceives(task, "there")
        self.assertEqual([(each.method, each.target) for each in server.requests], [("GET", "/old"), ("GET", "/new")])

    @cases(choices=300, not_modified=304, use_proxy=305, unused=306)
    def test_other_statuses_are_final(self, status: int) -> None:
        """Rule 51: 300, 304, 305 and 306 are not followed, Location or not, and the delegate is not asked."""
        server = self.serve(opening=redirect("/new", status))
        delegate = Delegate(will_perform_http_redirection=lambda *_: self.fail("asked"))
        error = self.fails(HandshakeError, server.url, -1011, delegate=delegate)
        self.assertEqual(getattr(error.response, "status_code", None), status)
        self.assertEqual(len(server.requests), 1)

    def test_a_redirect_without_location_is_final(self) -> None:
        """Rule 51: there is no usable Location."""
        server = self.serve(opening=refuse(302))
        self.fails(HandshakeError, server.url, -1011)

    @cases(
        absolute_path=("/a/b?c=d", "/x?y=z", "/x?y=z"),
        relative=("/a/b?c=d", "x", "/a/x"),
        up=("/a/b/c", "../x", "/a/x"),
        query_alone=("/a/b?c=d", "?e=f", "/a/b?e=f"),
        scheme_relative=("/a", "//127.0.0.1:{port}/x", "/x"),
        http=("/a", "http://127.0.0.1:{port}/x", "/x"),
        ws=("/a", "ws://127.0.0.1:{port}/x", "/x"),
        upper_case=("/a", "HTTP://127.0.0.1:{port}/x", "/x"),
        fragment=("/a", "/x#top", "/x"),
        not_ascii=("/a", "/\u00e9", "/%C3%A9"),
    )
    def test_where_it_leads(self, path: str, location: str, target: str) -> None:
        """Rules 54 and 55: references are resolved against the current URL; http means ws."""

        def locate(request: Any) -> str:
            text = location.format(port=server.url.split(":")[2].strip("/"))
            return text.encode().decode("latin-1")

        server = self.serve(opening=at(path, redirect(locate)))
        task = self.connect(path)
        self.assertEqual(server.requests[-1].target, target)
        self.assertEqual(task.current_request.url, server.url_for(target))

    @cases(
        ftp="ftp://127.0.0.1/",
        file="file:///etc/passwd",
        script="javascript:alert(1)",
        no_host="http:///x",
        no_host_and_no_scheme="///127.0.0.1/x",
        no_slashes="http:x",
        bad_port="http://127.0.0.1:99999/",
        nothing="http://",
        backslash="\\\\127.0.0.1\\x",
        brackets="http://[::1/x",
    )
    def test_where_nothing_leads(self, location: str) -> None:
        """Rule 55: -1010, with the response, and the delegate is not asked."""
        server = self.serve(opening=redirect(location))
        delegate = Delegate(will_perform_http_redirection=lambda *_: self.fail("asked"))
        error = self.fails(HandshakeError, server.url, -1010, delegate=delegate)
        self.assertEqual(getattr(error.response, "status_code", None), 302)

    def test_two_locations(self) -> None:
        """Rule 55: which of them is meant nobody can tell: -1010."""
        server = self.serve(opening=refuse(302, headers=[("Location", "/a"), ("Location", "/b")]))
        self.fails(HandshakeError, server.url, -1010)

    @cases(twenty=(None, 20), none=(0, 0), two=(2, 2))
    def test_so_many_are_followed(self, most: Optional[int], followed: int) -> None:
        """Rule 57: 20 hops, or as many as `max_redirects`; the URL of the error is the one that was not fetched."""
        server = self.serve(opening=redirect(lambda request: f"/{int(request.target[1:] or 0) + 1}"))
        options: Dict[str, Any] = {} if most is None else {"max_redirects": most}
        error = self.fails(TooManyRedirects, server.url, -1007, **options)
        self.assertEqual(error.url, server.url_for(f"/{followed + 1}"))
        self.assertEqual(len(server.requests), followed + 1)
        self.assertEqual(getattr(error.response, "status_code", None), 302)

    def test_the_last_one_that_is_allowed(self) -> None:
        """Rule 57: the twentieth redirect may lead to a WebSocket."""

        def step(connection: Any) -> None:
            number = int(connection.request.target[1:] or 0)
            if number < 20:
                redirect(f"/{number + 1}")(connection)

        server = self.serve(opening=step)
        self.assertEqual(self.connect().current_request.url, server.url_for("/20"))

    def test_the_delegate_is_not_asked_about_one_too_many(self) -> None:
        """Rule 57: it is asked for the twenty alone."""
        delegate = Delegate(will_perform_http_redirection=lambda session, task, response, request: request)
        server = self.serve(opening=redirect("/again"))
        self.fails(TooManyRedirects, server.url, delegate=delegate)
        self.assertEqual(len(delegate.questions("will_perform_http_redirection")), 20)

    def test_what_the_task_shows(self) -> None:
        """Rule 58: `original_request` stays, `current_request` is the redirect's; the response is the last one."""
        server = self.serve(opening=[at("/a", redirect("/b")), at("/b", redirect("/c")), at("/c", refuse(404))])
        session = self.session()
        task = session.websocket_task(server.url_for("/a"))
        self.assertEqual(task.current_request, task.original_request)
        task.resume()
        error = self.ends(task, HandshakeError)
        self.assertEqual(task.original_request.url, server.url_for("/a"))
        self.assertEqual(task.current_request.url, server.url_for("/c"))
        self.assertEqual(error.url, server.url_for("/c"))
        self.assertEqual(getattr(task.response, "status_code", None), 404)


@needs_trustme
class DowngradeTests(OpeningTestCase):
    """Rule 56."""

    def setUp(self) -> None:
        super().setUp()
        self.plain = self.serve()
        self.secure = self.serve(tls=True, opening=redirect(self.plain.url))

    def test_from_wss_to_ws(self) -> None:
        """Rule 56: refused, and the plain server hears nothing."""
        error = self.fails(InsecureRedirect, self.secure.url, -1022)
        self.assertEqual(getattr(error.response, "status_code", None), 302)
        self.assertEqual(self.plain.requests, [])

    def test_http_is_ws_there_too(self) -> None:
        """Rules 55 and 56: a Location with http is no way round."""
        secure = self.serve(tls=True, opening=redirect(self.plain.url.replace("ws:", "http:")))
        self.fails(InsecureRedirect, secure.url)
        self.assertEqual(self.plain.requests, [])

    def test_a_delegate_that_has_other_things_to_say(self) -> None:
        """Rule 56: one without the method, one that raises and one that answers nonsense do not allow it."""

        def broken(*_: object) -> object:
            raise ZeroDivisionError

        self.quiet()
        for delegate in (
            Delegate(),
            Delegate(will_perform_http_redirection=broken),
            Delegate(will_perform_http_redirection=lambda *_: "ws://127.0.0.1/"),
        ):
            self.fails(InsecureRedirect, self.secure.url, delegate=delegate)
        self.assertEqual(self.plain.requests, [])

    def test_the_delegate_may_return_that_request(self) -> None:
        """Rule 56: a request that a delegate returns itself is made."""
        delegate = Delegate(will_perform_http_redirection=lambda session, task, response, request: request)
        task = self.connect(self.secure.url, delegate=delegate)
        self.assertEqual(task.current_request.url, self.plain.url)
        self.assertEqual(len(self.plain.requests), 1)

    def test_from_ws_to_wss(self) -> None:
        """Rule 55: upwards is followed without a word; https means wss."""
        target = self.serve(tls=True)
        source = self.serve(opening=redirect(target.url.replace("wss:", "https:")))
        task = self.connect(source.url, ssl_context=target.client_ssl_context)
        self.assertEqual(task.current_request.url, target.url)


class DelegateTests(OpeningTestCase):
    """Rules 52, 53, 58 and 63: who is asked, and what comes of the answer."""

    def test_what_it_is_told(self) -> None:
        """Rule 52: session, task, the 3xx response and the request that is proposed."""
        calls: List[Any] = []

        def ask(session: Any, task: Any, response: Response, request: Request) -> Request:
            calls.append((session, task, response, request, task.current_request))
            return request

        server = self.serve(opening=at("/old", refuse(307, headers={"Location": "/new", "X-Why": "moved"}, body=b"hi")))
        session = self.session(delegate=Delegate(will_perform_http_redirection=ask))
        task = self.opened(session, server.url_for("/old"))
        ((heard_session, heard_task, response, request, current),) = calls
        self.assertIs(heard_session, session)
        self.assertIs(heard_task, task)
        self.assertEqual((response.status_code, response.headers["X-Why"], response.body), (307, "moved", b"hi"))
        self.assertEqual(request.url, server.url_for("/new"))
        self.assertEqual(current.url, server.url_for("/old"))

    def test_the_task_s_delegate_is_asked_first(self) -> None:
        """Rule 52: and what it lacks goes to the session's."""
        server = self.serve(opening=[at("/old", redirect("/new")), at("/mine", redirect("/final"))])
        mine, other = (
            Delegate(will_perform_http_redirection=lambda session, task, response, request: request) for _ in range(2)
        )
        session = self.session(delegate=other)
        for own, asked in ((mine, mine), (Delegate(), other)):
            task = session.websocket_task(server.url_for("/old"))
            task.delegate = own
            task.resume()
            task.wait_until_open(PATIENCE)
            self.assertEqual(len(asked.questions("will_perform_http_redirection")), 1)
        self.assertEqual(len(mine.questions("will_perform_http_redirection")), 1)

    def test_a_changed_request(self) -> None:
        """Rules 52 and 58: it is made as it is, headers and all."""

        def change(session: Any, task: Any, response: Response, request: Request) -> Request:
            return request.replace(url=server.url_for("/other?x=1"), headers=request.headers.replace({"X-Mine": "yes"}))

        server = self.serve(opening=at("/old", redirect("/new")))
        task = self.connect("/old", delegate=Delegate(will_perform_http_redirection=change))
        self.assertEqual([each.target for each in server.requests], ["/old", "/other?x=1"])
        self.assertEqual(server.requests[1].headers["X-Mine"], "yes")
        self.assertEqual(task.current_request.url, server.url_for("/other?x=1"))

    def test_a_request_that_cannot_be_sent(self) -> None:
        """Rule 52: a handshake field among its headers is the delegate's mistake; the task fails, and says so."""
        answers: List[Request] = []

        def change(session: Any, task: Any, response: Response, request: Request) -> Request:
            answers.append(request.replace(headers={"Sec-WebSocket-Key": "mine"}))
            return answers[-1]

        server = self.serve(opening=at("/old", redirect("/new")))
        error = self.fails(
            HandshakeError, server.url_for("/old"), delegate=Delegate(will_perform_http_redirection=change)
        )
        self.assertIn("delegate", str(error))
        self.assertEqual((len(answers), len(server.requests)), (1, 1))

    def test_it_stops(self) -> None:
        """Rule 52: `None` makes the 3xx the final response: -1011, response and body attached."""
        server = self.serve(opening=refuse(302, headers={"Location": "/new"}, body=b"over there"))
        delegate = Delegate(will_perform_http_redirection=lambda *_: None)
        error = self.fails(HandshakeError, server.url, -1011, delegate=delegate)
        self.assertNotIsInstance(error, TooManyRedirects)
        assert isinstance(error.response, Response)
        self.assertEqual((error.response.status_code, error.response.body), (302, b"over there"))
        self.assertEqual(len(server.requests), 1)

    def test_it_answers_later(self) -> None:
        """Rules 52 and 53: the same three answers by a future, from another thread."""
        for answer, opens in (("follow", True), ("change", True), ("stop", False)):
            with self.subTest(answer):
                server = self.serve(opening=at("/old", redirect("/new")))
                future = self.future()
                delegate = Delegate(will_perform_http_redirection=lambda *_, future=future: future)
                session = self.session(delegate=delegate)
                task = session.websocket_task(server.url_for("/old"))
                task.resume()
                (proposed,) = delegate.wait_for("will_perform_http_redirection")
                other = proposed.replace(url=server.url_for("/other"))
                self.assertEqual(len(server.requests), 1)
                chosen = {"follow": proposed, "change": other, "stop": None}[answer]
                threading.Thread(target=future.set_result, args=(chosen,)).start()
                if opens:
                    task.wait_until_open(PATIENCE)
                    self.assertEqual(task.current_request, chosen)
                else:
                    self.ends(task, HandshakeError, -1011)

    def test_the_order_of_callbacks(self) -> None:
        """Rule 63: redirects in their order, then the opening; what informs comes where it came."""
        server = self.serve(
            opening=[at("/a", inform(103), redirect("/b")), at("/b", redirect("/c")), inform(102)], protocols=["chat"]
        )
        delegate = Delegate(will_perform_http_redirection=lambda session, task, response, request: request)
        self.connect("/a", ["chat"], delegate=delegate).close()
        delegate.wait_for("did_complete")
        self.assertEqual(
            list(zip(delegate.names, [getattr(heard, "url", heard) for heard in delegate.heard]))[:5],
            [
                ("did_receive_informational_response", server.url_for("/a")),
                ("will_perform_http_redirection", server.url_for("/b")),
                ("will_perform_http_redirection", server.url_for("/c")),
                ("did_receive_informational_response", server.url_for("/c")),
                ("did_open", "chat"),
            ],
        )

    def test_calls_made_meanwhile(self) -> None:
        """Rules 37 and 52: what is sent and asked for before the last hop is done runs after it, in order."""
        server = self.serve(opening=at("/old", redirect("/new")))
        future = self.future()
        session = self.session(delegate=Delegate(will_perform_http_redirection=lambda *_: future))
        task = session.websocket_task(server.url_for("/old"))
        task.resume()
        receiving = Running(lambda: [task.receive(), task.receive()])
        task.send("one", lambda error: None)
        task.send("two", lambda error: None)
        future.set_result(Request(server.url_for("/new")))
        self.assertEqual(receiving.result(), ["one", "two"])


class CrossingTests(OpeningTestCase):
    """Rules 59 to 61: what goes along."""

    def setUp(self) -> None:
        super().setUp()
        self.target = self.serve()
        self.source = self.serve(opening=[at("/home", redirect("/elsewhere")), at("/", redirect(self.target.url))])
        self.headers = {
            "Authorization": f"Bearer {SECRET}",
            "Cookie": f"id={SECRET}",
            "X-Api-Key": SECRET,
            "Accept-Language": "de",
            "User-Agent": "mine/1",
            "Origin": "https://example.org",
            "Sec-WebSocket-Protocol": "chat",
        }

    def test_another_origin(self) -> None:
        """Rule 60: User-Agent, Origin and the subprotocols cross, and nothing else that the caller has set."""
        self.connect(Request(self.source.url, headers=self.headers))
        fields = self.target.requests[0].headers
        self.assertNotIn(SECRET, repr(fields.fields))
        own = {name: fields[name] for name in self.headers if name in fields}
        self.assertEqual(
            own, {"User-Agent": "mine/1", "Origin": "https://example.org", "Sec-WebSocket-Protocol": "chat"}
        )

    def test_fields_of_the_configuration(self) -> None:
        """Rule 60: those that go into every request stay back too."""
        self.connect(self.source.url, http_additional_headers={"X-Api-Key": SECRET, "User-Agent": "other/2"})
        self.assertEqual(self.source.requests[0].headers["X-Api-Key"], SECRET)
        self.assertNotIn("X-Api-Key", self.target.requests[0].headers)
        self.assertEqual(self.target.requests[0].headers["User-Agent"], "other/2")

    def test_named_fields(self) -> None:
        """Rule 60: `redirect_headers` names more, in any case."""
        self.connect(
            Request(self.source.url, headers=self.headers),
            redirect_headers=["x-api-key", "AUTHORIZATION"],
            http_additional_headers={"X-Other": SECRET},
        )
        fields = self.target.requests[0].headers
        self.assertEqual((fields["X-Api-Key"], fields["Authorization"]), (SECRET, f"Bearer {SECRET}"))
        self.assertFalse({"cookie", "x-other"} & {name.lower() for name, _ in fields.fields})

    def test_the_same_origin(self) -> None:
        """Rule 60: at home everything goes along."""
        self.connect(Request(self.source.url_for("/home"), headers=self.headers))
        fields = self.source.requests[1].headers
        self.assertEqual({name: fields[name] for name in self.headers}, self.headers)

    def test_there_and_back(self) -> None:
        """Rule 60: what has stayed back does not come again, neither within the other origin nor back at home."""
        home = self.serve(opening=[at("/", redirect(lambda request: away.url)), at("/back", redirect("/again"))])
        away = self.serve(
            opening=[at("/", redirect("/further")), redirect(lambda request: home.url_for("/back"))],
        )
        self.connect(Request(home.url, headers={"X-Api-Key": SECRET}), http_additional_headers={"X-Additional": SECRET})
        self.assertEqual([each.target for each in home.requests], ["/", "/back", "/again"])
        self.assertEqual([each.target for each in away.requests], ["/", "/further"])
        for request in (*away.requests, *home.requests[1:]):
            self.assertNotIn(SECRET, repr([value for _, value in request.headers.fields]))

    def test_a_delegate_gives_them_again(self) -> None:
        """Rules 52 and 60: the delegate may add what it wants there; it is proposed a request without."""

        def ask(session: Any, task: Any, response: Response, request: Request) -> Request:
            self.assertNotIn("X-Api-Key", request.headers)
            return request.replace(headers=request.headers.replace({"X-Api-Key": "for you"}))

        self.connect(
            Request(self.source.url, headers=self.headers), delegate=Delegate(will_perform_http_redirection=ask)
        )
        self.assertEqual(self.target.requests[0].headers["X-Api-Key"], "for you")

    def test_userinfo_stays_back(self) -> None:
        """Rule 60: neither the caller's nor what a server writes into its Location is used, or shown."""
        source = self.serve(opening=redirect(userinfo(self.target.url, "eve:pa55")))
        task = self.connect(userinfo(source.url))
        self.assertEqual(task.current_request.url, self.target.url)
        self.assertNotIn("Authorization", self.target.requests[0].headers)

    def test_offers_are_repeated_with_a_new_key(self) -> None:
        """Rule 61: protocols, extensions and Origin again, the key anew."""
        self.connect(self.source.url, ["one", "two"], origin="https://example.org", compression="deflate")
        first, second = self.source.requests[0].headers, self.target.requests[0].headers
        for name in ("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin", "User-Agent"):
            self.assertEqual(first[name], second[name])
        self.assertNotEqual(first["Sec-WebSocket-Key"], second["Sec-WebSocket-Key"])
        self.assertEqual(second["Host"], self.target.url[5:-1])

    def test_the_limit_of_the_request_is_inherited(self) -> None:
        """Rule 61: a request's own timeout holds for the request of the redirect too."""
        delegate = Delegate(will_perform_http_redirection=lambda session, task, response, request: request)
        self.connect(Request(self.source.url, timeout_interval=7.5), delegate=delegate)
        (proposed,) = delegate.questions("will_perform_http_redirection")
        self.assertEqual(proposed.timeout_interval, 7.5)

    def test_cookies_of_a_redirect(self) -> None:
        """Rules 59 and 82: they are stored before the delegate hears of it, and sent where they belong."""
        seen: List[Any] = []

        def ask(session: Any, task: Any, response: Response, request: Request) -> Request:
            seen.extend((cookie.name, cookie.value) for cookie in session.configuration.http_cookie_storage)
            return request

        for delegate in (Delegate(will_perform_http_redirection=ask), None):
            server = self.serve(opening=at("/old", set_cookies({"id": "1"}, "deep=2; Path=/new"), redirect("/new/x")))
            self.connect(server.url_for("/old"), delegate=delegate)
            self.assertNotIn("Cookie", server.requests[0].headers)
            self.assertEqual(server.requests[1].headers["Cookie"], "deep=2; id=1")
        self.assertEqual(seen, [("id", "1"), ("deep", "2")])

    def test_a_delegate_s_own_cookie(self) -> None:
        """Rule 59: unless the delegate has changed that header itself."""
        server = self.serve(opening=at("/old", set_cookies({"id": "1"}), redirect("/new")))

        def ask(session: Any, task: Any, response: Response, request: Request) -> Request:
            return request.replace(headers=request.headers.replace({"Cookie": "mine=1"}))

        self.connect(server.url_for("/old"), delegate=Delegate(will_perform_http_redirection=ask))
        self.assertEqual(server.requests[1].headers.get_all("Cookie"), ["mine=1"])


@needs_trustme
class RedirectedTrustTests(OpeningTestCase):
    def test_each_server_is_asked_about(self) -> None:
        """Rule 98: with a redirect to another host the question about its certificate comes again."""
        delegate = Delegate(session_did_receive_challenge=trusting)
        target = self.secret_server(context=self.strange_context())
        source = self.secret_server(context=self.strange_context(), opening=redirect(target.url))
        self.opened(self.plain_session(delegate), source.url)
        spaces = [each.protection_space for each in delegate.questions("session_did_receive_challenge")]
        trusts = [space for space in spaces if space.server_trust is not None]
        self.assertEqual([space.port for space in trusts], [port_of(source), port_of(target)])


def port_of(server: Server) -> int:
    """The port of a server."""
    return int(server.url.rstrip("/").rpartition(":")[2])

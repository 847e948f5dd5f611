"""Who may talk to the reviewer: whoever opened the printed link, from the page itself, and nobody else.

The server listens on 127.0.0.1 only, but every program and every web page on this machine can reach that. So:
- The link holds a token that works once; it is exchanged for a cookie that scripts cannot read. A spent link in a
  history or a log is worth nothing; a new one is printed for the next browser.
- Host must name this machine: else a foreign page could point its own name at 127.0.0.1 (DNS rebinding).
- Origin, where the browser sends one, must be the page's own: cookies do not tell ports apart.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from mtctl.browser.server.connections import MOST_TABS, Connections, is_loopback

log = logging.getLogger(__name__)

#: Everything comes from the server itself. Vue compiles the page's template in the browser, hence 'unsafe-eval'; the
#: views' frames are blobs.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; "
    "object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AccessControl:
    """Lets requests in or refuses them with a sentence.

    Attributes:
        token: What the next link holds.
    """

    def __init__(self, connections: Connections, on_new_token: Callable[[], None] = lambda: None) -> None:
        """Make the first token.

        Args:
            connections: Are told whose requests were let in.
            on_new_token: Called when a link was used and `token` is a new one.
        """
        self._connections = connections
        self.token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(32)
        self._on_new_token = on_new_token
        # Two reviewers on two ports share the browser's cookies.
        self._cookie = f"mtctl-{secrets.token_hex(4)}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer refused requests, and pass the others on; for an aiohttp application."""
        try:
            response = self._refused(request) or await self._answered(request, handler)
        except (web.HTTPException, ConnectionError):
            raise
        except UnicodeError:
            return _refuse(400, "The request is malformed: it holds what is no UTF-8.")
        except Exception as error:
            log.error("a request could not be answered: %s: %s", type(error).__name__, error)
            return _refuse(500, "The request could not be answered: a fault in mtctl.")
        if not response.prepared:
            response.headers.update(_HEADERS)
            if request.path in ("/", "/index.html"):
                response.headers["Cache-Control"] = "no-store"
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if "token" in request.query:
            return self._exchange_token(request)
        if not self._known(request):
            return _refuse(401, "This page needs the link that was printed when the reviewer started: open that one.")
        if not self._connections.let_in(request.transport):
            return _refuse(503, "Too many connections are open: close some tabs of the reviewer.")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await handler(request)
        if self._connections.tabs >= MOST_TABS:
            return _refuse(503, f"The reviewer is open in {MOST_TABS} tabs: close some.")
        self._connections.tabs += 1
        try:
            return await handler(request)
        finally:
            self._connections.tabs -= 1

    def _refused(self, request: web.Request) -> web.Response | None:
        """Return the answer to a request from a wrong place; None for any other."""
        host = request.headers.get("Host", "")
        if not is_loopback(_hostname(f"//{host}") or ""):
            return _refuse(403, "The reviewer is reached as 127.0.0.1 or localhost only.")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            return _refuse(403, "Requests from other pages are refused.")
        return None

    def _exchange_token(self, request: web.Request) -> web.Response:
        if not self._known(request):  # A browser that is in already reloads a spent link without harm.
            if not hmac.compare_digest(request.query["token"].encode(), self.token.encode()):
                return _refuse(401, "This link is wrong or was used already: open the one that was printed last.")
            self.token = secrets.token_urlsafe(24)
            self._on_new_token()
        response = web.Response(
            status=303, headers={"Location": "/index.html", "Cache-Control": "no-store", **_HEADERS}
        )
        # "Lax", not "Strict": the page that leads here is a file, and "Strict" would hold the cookie back after it.
        # Scripts and frames of other pages do not get it either way.
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="Lax", path="/")
        return response

    def _known(self, request: web.Request) -> bool:
        return hmac.compare_digest(request.cookies.get(self._cookie, "").encode(), self._session.encode())


def _hostname(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _refuse(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence + "\n", headers={"Cache-Control": "no-store", **_HEADERS})

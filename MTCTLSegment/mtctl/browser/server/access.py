"""Who may talk to the reviewer: whoever opened the printed link, from the page itself, and nobody else.

The server listens on 127.0.0.1 only, but every program and every web page on this machine can reach that. So:
- The link holds a token that works once; it is exchanged for a cookie that scripts cannot read. A spent link in a
  history or a log is worth nothing; a new one is printed for the next browser.
- Host must name this machine: else a foreign page could point its own name at 127.0.0.1 (DNS rebinding).
- Origin, where the browser sends one, must be the page's own: cookies do not tell ports apart.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

#: Names of this machine. Any port: a tunnel (ssh -L) may lead here from another.
_HOSTS = ("127.0.0.1", "localhost", "::1")

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

    def __init__(self, on_new_token: Callable[[], None] = lambda: None) -> None:
        """Make the first token; `on_new_token` is called when a link was used and `token` is a new one."""
        self.token = secrets.token_urlsafe(24)
        self._session = secrets.token_urlsafe(32)
        self._on_new_token = on_new_token
        # Two reviewers on two ports share the browser's cookies.
        self._cookie = f"mtctl-{secrets.token_hex(4)}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer refused requests, and pass the others on; for an aiohttp application."""
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        if "token" in request.query:
            return self._exchange_token(request)
        if not self._known(request):
            return _refuse(401, "This page needs the link that was printed when the reviewer started: open that one.")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
            if request.path in ("/", "/index.html"):
                response.headers["Cache-Control"] = "no-store"
        return response

    def refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to a request from a wrong place; None for any other."""
        host = request.headers.get("Host", "")
        if _hostname(f"//{host}") not in _HOSTS:
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
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/")
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

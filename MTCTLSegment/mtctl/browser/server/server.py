"""The web server of the reviewer: trame's, bound to this machine, with access control before it, a guard behind it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from trame.app import get_server
from trame_slicer import module as views_module

from mtctl.browser.server.access import AccessControl
from mtctl.browser.server.connections import Connections, ignore_lost_connections, watch
from mtctl.browser.server.opening import RedirectPage
from mtctl.browser.server.page import make_page
from mtctl.browser.server.rpc_guard import guard
from mtctl.browser.server.upload import LARGEST, UploadHandler
from mtctl.browser.sources.base import CaseSource
from mtctl.browser.ui.commands import ReviewApplication
from mtctl.browser.ui.segmentation import SegmentationRunner
from mtctl.browser.ui.views import SLICES, VOLUME
from mtctl.errors import MtctlError
from mtctl.worker.requests import Settings

HOST = "127.0.0.1"

#: Seconds until a page that does not answer is given up.
_TIMEOUT = 30.0

#: Seconds until the file that leads the browser to the link is removed, whether it was used or not.
_REDIRECT = 60.0

#: Seconds between two attempts to save at the end.
_AGAIN = 2.0


class ServeError(MtctlError):
    """The page cannot be served."""


@dataclass(frozen=True)
class ServerOptions:
    """How to serve.

    Attributes:
        host: A loopback address of this machine.
        port: 0 for any that is free.
        settings: How new scans are segmented.
        largest: Bytes of the largest scan that a browser may send.
        browse: Whether to open the page in the browser of this machine.
        check: Whether to fetch the page once and end.
        asks: Whether questions about cases are looked for.
    """

    host: str = HOST
    port: int = 0
    settings: Settings = Settings()
    largest: int = LARGEST
    browse: bool = False
    check: bool = False
    asks: bool = True


def serve(source: CaseSource, options: ServerOptions) -> int:
    """Serve until the process is interrupted, or for a check.

    Returns:
        0; 1 where a check failed.

    Raises:
        ServeError: The port is taken.
    """
    logging.getLogger("wslink").setLevel(logging.CRITICAL)  # it prints a traceback for whatever a client sends
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # the same; what matters is logged by our own
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C on Windows; what follows from it is done by then
        return asyncio.run(_serve(source, options))
    return 0


async def _serve(source: CaseSource, options: ServerOptions) -> int:
    asyncio.get_running_loop().set_exception_handler(ignore_lost_connections)
    server = _make_server()
    application = ReviewApplication(server, source, SegmentationRunner(options.settings, asks=options.asks))
    make_page(server)
    upload_handler = UploadHandler(application.add_scan, options.largest)
    connections = Connections()
    redirects: list[RedirectPage] = []

    def link_was_used() -> None:
        for page in redirects:
            page.remove()
        print(f"For another browser: {_link(options.host, server, access)}", flush=True)

    access = AccessControl(connections, link_was_used)

    guarded: list[Any] = []

    def bind(bound: Any) -> None:
        watch(bound, connections)
        bound.app.middlewares.append(access.middleware)
        bound.app.add_routes([web.put("/scans/{name}", upload_handler.handle)])
        for handler in bound._ws_handlers:
            guard(handler, frozenset((*SLICES, VOLUME)), application.commands, application.may_press)
            guarded.append(handler)

    server.controller.on_server_bind.add(bind)
    server.controller.on_client_connected.add(application.redraw)
    with _hidden_arguments():
        serving = server.start(
            host=options.host,
            port=options.port,
            exec_mode="coroutine",
            open_browser=False,
            show_connection_info=False,
            disable_logging=True,
            follow_symlinks=False,
            timeout=0,
            thread=True,  # no signal handlers of its own, which would end the process with status 1
        )
    if len(guarded) != 1:  # another version of trame or wslink: rather no page than one that anybody may open
        raise ServeError("this version of trame cannot be guarded: install slicer-mtctl[review] as it is")
    running = asyncio.ensure_future(serving)
    try:
        await _started(server, running)
        link = _link(options.host, server, access)
        print(f"The reviewer: {link}", flush=True)
        if options.check:
            return await _check(link, application)
        print("Ctrl-C ends it; the review is saved as you go.", flush=True)
        if options.browse:
            await _open_browser(link, redirects)
        opening = asyncio.ensure_future(application.begin())
        await asyncio.wait({running, _interruption()}, return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        await _save_at_last(application)
    finally:
        for page in redirects:
            page.remove()
        await application.close()
        with contextlib.suppress(Exception):
            await server.stop()
    return 0


async def _open_browser(link: str, redirects: list[RedirectPage]) -> None:
    try:
        page = await asyncio.to_thread(RedirectPage, link)
        redirects.append(page)
        asyncio.get_running_loop().call_later(_REDIRECT, page.remove)
        await asyncio.to_thread(page.open)
    except MtctlError as error:
        print(error, flush=True)


async def _save_at_last(application: ReviewApplication) -> None:
    """Save what was not saved yet; where that fails, go on trying until it is saved or the person wants the end."""
    ended: asyncio.Future[None] | None = None
    while ended is None or not ended.done():
        try:
            await application.save()
        except MtctlError as error:
            if ended is None:
                ended = _interruption()
                print(f"NOT SAVED: {error}", flush=True)
                print("It is tried again until it is saved; Ctrl-C ends the reviewer without it.", flush=True)
            await asyncio.wait({ended}, timeout=_AGAIN)
        else:
            if ended is not None:
                print("Saved.", flush=True)
            return


def _make_server() -> Any:
    with _hidden_arguments():
        server = get_server("mtctl-review", client_type="vue3")
        server.cli  # noqa: B018  is made now
    server.enable_module(views_module)
    return server


@contextlib.contextmanager
def _hidden_arguments() -> Iterator[None]:
    """Hide the command line from trame, which would read our options as its own."""
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = arguments


async def _started(server: Any, running: asyncio.Future[Any]) -> None:
    ready = asyncio.ensure_future(
        asyncio.wrap_future(server.ready) if not asyncio.isfuture(server.ready) else server.ready
    )
    done, _ = await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED, timeout=_TIMEOUT)
    if ready not in done:
        error = running.exception() if running in done else None
        raise ServeError(f"the page cannot be served: {error or 'the server does not start'}; try another --port")


def _interruption() -> asyncio.Future[None]:
    """Return a future that is done on SIGINT, SIGTERM, or as the terminal or the connection to it ends (SIGHUP).

    On Windows asyncio cancels the main task instead.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # which `nohup` asks for
        numbers.append(signal.SIGHUP)
    for number in numbers:
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, end)
    return ended


async def _check(link: str, application: ReviewApplication) -> int:
    """Open the first case and fetch the page as a browser would."""
    await application.begin()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session, session.get(link) as page:
        text = await page.text()
        good = page.status == 200 and 'id="app"' in text
    print("The page answers." if good else f"The page does not answer as it should: {page.status}", flush=True)
    return 0 if good else 1


def _link(host: str, server: Any, access: AccessControl) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{server.port}/?token={access.token}"

"""A scan that is dropped on the page: taken over HTTP, neither too large nor too slow, and read in a child process."""

from __future__ import annotations

import asyncio
import os
import sys
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from mtctl.browser.server.upload_process import ENDINGS
from mtctl.browser.sources.folder import plain_name
from mtctl.errors import MtctlError
from mtctl.geometry import Volume
from mtctl.io.volumes import read_volume
from mtctl.processes.launcher import child_environment
from mtctl.system.files import write_reason
from mtctl.system.temporary import own_folder

#: Bytes of the largest scan that is taken, unless another limit is given.
LARGEST = 1 << 29

#: Seconds until a child that reads a scan is ended.
_TIMEOUT = 180.0

#: Scans that may be on their way at once.
MOST_UPLOADS = 4

#: Bytes that must come in every so many seconds: a slow line has ten times as much.
SLOWEST, PERIOD = 1 << 18, 15.0


class UploadError(MtctlError):
    """A scan from the browser cannot be used."""


class _TooSlowError(UploadError):
    """A scan does not come in."""


class UploadHandler:
    """Takes some scans at once, and reads them one after the other.

    Args (of the constructor):
        add: Called with the scan, a plain name for it, and what a person should know of its file, in sentences;
            returns the key of the new case.
        largest: Bytes of the largest scan that is taken.
        period: Seconds within which SLOWEST bytes must come in.
    """

    def __init__(
        self, add: Callable[[Volume, str, list[str]], Awaitable[str]], largest: int = LARGEST, period: float = PERIOD
    ) -> None:
        self._add, self._largest, self._period = add, largest, period
        self._under_way = 0
        self._reading = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.Response:
        """Take PUT /scans/<name> with the file's bytes; answer {"key"} or a sentence."""
        name = request.match_info["name"]
        if self._under_way >= MOST_UPLOADS:
            return _answer(429, f"{MOST_UPLOADS} scans are being taken in: wait until one is there.")
        self._under_way += 1
        try:
            return web.json_response({"key": await self._read_upload(request, name)})
        except _TooSlowError as error:
            return _answer(408, str(error))
        except UploadError as error:
            return _answer(413 if "larger" in str(error) else 422, str(error))
        except MtctlError as error:
            return _answer(422, str(error))
        except (web.RequestPayloadError, zlib.error):
            return _answer(400, f"{plain_name(name)}: was cut off on its way, or is not compressed as it says")
        except OSError as error:
            return _answer(507, f"{plain_name(name)}: {write_reason(error)}")
        finally:
            self._under_way -= 1

    async def _read_upload(self, request: web.Request, name: str) -> str:
        ending = max((end for end in ENDINGS if name.lower().endswith(end)), key=len, default=None)
        if ending is None:
            raise UploadError(f"{plain_name(name)}: drop one file that ends in {', '.join(ENDINGS)}")
        if request.content_length is not None and request.content_length > self._largest:
            raise self._too_large()
        with own_folder("upload") as folder:
            scan, copy = folder / f"scan{ending}", folder / "copy.nrrd"
            await self._receive(request, scan)
            async with self._reading:
                remarks = await _read_in_child(scan, copy, plain_name(name))
                volume = await asyncio.to_thread(read_volume, copy)
                return await self._add(volume, plain_name(name), remarks)

    async def _receive(self, request: web.Request, path: Path) -> None:
        size, due, clock = 0, SLOWEST, asyncio.get_running_loop().time
        end = clock() + self._period
        with open(path, "wb") as stream:
            while True:
                try:
                    async with asyncio.timeout_at(end):
                        piece = await request.content.readany()
                except TimeoutError:
                    raise _TooSlowError("The scan comes in too slowly: try again on a faster line.") from None
                if not piece:
                    return
                size += len(piece)
                if size > self._largest:
                    raise self._too_large()
                if size >= due:
                    due, end = size + SLOWEST, clock() + self._period
                await asyncio.to_thread(stream.write, piece)

    def _too_large(self) -> UploadError:
        return UploadError(f"The scan is larger than {self._largest / 1e6:.0f} MB, the most that is taken here.")


async def _read_in_child(scan: Path, copy: Path, name: str) -> list[str]:
    """Read a scan and write it anew as `copy`; return what a person should know of its file.

    Raises:
        UploadError: It cannot be used.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mtctl.browser.server.upload_process",
        str(scan),
        str(copy),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(os.environ),
    )
    try:
        said, _ = await asyncio.wait_for(child.communicate(), _TIMEOUT)
    except (TimeoutError, asyncio.CancelledError):
        child.kill()
        await child.wait()
        raise UploadError(f"{name}: reading it took too long") from None
    lines = said.decode("utf-8", "replace").strip().splitlines()
    if child.returncode:
        raise UploadError(f"{name}: {lines[-1] if lines else 'it cannot be read'}")
    return lines


def _answer(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence + "\n")

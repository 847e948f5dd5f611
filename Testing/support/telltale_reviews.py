"""Reviews in the browser of scans that hold telltales, and all that a person is shown or told meanwhile."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
from support.reviewer_client import Server, closing, hello, packed, state_of, trigger
from support.telltales import UID, WORD

#: What a person does with a case that was segmented.
_EDITS: tuple[tuple[str, object], ...] = (
    ("threshold", 0.4), ("tool", "paint"), ("undo", None), ("measure", None), ("accept_case", None),
    ("reopen_case", None), ("reject_case", "motion"), ("reopen_case", None),
)  # fmt: skip

#: What no page sends.
_ODD: tuple[tuple[str, object], ...] = (
    ("threshold", f"{WORD} 1"), ("open", f"{WORD}.nrrd"), ("tool", WORD), ("slice", {WORD: UID}),
    (f"{WORD}^Anna", None),
)  # fmt: skip


def review_all(target: Path, uploads: list[Path], *options: str, segments: bool = False) -> str:
    """Look at each case of a folder or store, decide on it, drop scans, send nonsense; return all that was seen.

    Args:
        target: What `mtctl review` is given.
        uploads: Files to be dropped on the page.
        options: Further ones of the command.
        segments: Whether a scan that was not segmented yet is segmented.

    Returns:
        The answers to all commands, the page's states, the answers to uploads and the log.
    """
    server = Server(target, *options)
    seen = []
    try:
        for path in uploads:
            seen += map(str, server.put(path.name, path.read_bytes()))
        seen.append(str(server.talk(lambda ws: _review(ws, segments))))
        seen.append(str(server.talk(_be_refused)))
        seen += map(str, server.get(f"/{WORD}?token={WORD}"))
    finally:
        assert server.stop() == 0, server.log.read_text(encoding="utf-8")
    return "\n".join([*seen, server.log.read_text(encoding="utf-8")])


async def _review(ws: aiohttp.ClientWebSocketResponse, segments: bool) -> str:
    await hello(ws)
    seen = []
    for case in (await state_of(ws))["cases"]:
        await trigger(ws, "open", case["key"])
        state = await state_of(ws)
        if segments and state["shown"] and not state["shown"]["segmented"]:
            await trigger(ws, "segment")
            while (state := await state_of(ws))["progress"]:
                seen.append(_shown(state))
                await asyncio.sleep(0.2)
            segments = False
        seen.append(_shown(state))
        if state["shown"] and state["shown"]["key"] == case["key"] and state["shown"]["segmented"]:
            seen += [await _give(ws, name, value) for name, value in _EDITS]
    for name, value in _ODD:  # What is wrong with it may quote it to the person who sent it, and to no log.
        await _give(ws, name, value)
    await trigger(ws, "dismiss")
    return "\n".join(seen)


async def _give(ws: aiohttp.ClientWebSocketResponse, name: str, value: object) -> str:
    said = await trigger(ws, name, *([] if value is None else [value]))
    while (state := await state_of(ws))["measures"]["busy"]:
        await asyncio.sleep(0.2)
    return f"{said} {_shown(state)}"


def _shown(state: dict) -> str:
    """What the page's state says, without the page itself."""
    return json.dumps({key: value for key, value in state.items() if not key.startswith("trame__")})


async def _be_refused(ws: aiohttp.ClientWebSocketResponse) -> str:
    await hello(ws)
    await ws.send_bytes(packed({"wslink": "1.0", "id": WORD, "method": WORD, "args": [WORD], "kwargs": {WORD: WORD}}))
    await ws.send_bytes(WORD.encode() * 9)
    return str(await closing(ws))

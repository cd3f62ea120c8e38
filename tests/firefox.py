"""A headless Firefox as the distribution has it, told by WebDriver BiDi what to do; Playwright drives only its own."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from websocket_lite import WebSocket

START_S = 60
LISTENING = re.compile(r"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)")

MIDDLE = """((node) => {
    node.scrollIntoView({ block: "center", behavior: "instant" });
    const { x, y, width, height } = node.getBoundingClientRect();
    return [x + width / 2, y + height / 2].map(Math.round).join();
})(document.querySelector(%s))"""


class Firefox:
    """One tab of a Firefox; what it cannot do raises RuntimeError with the browser's words."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._ids = count(1)
        self.call("session.new", capabilities={})
        self._tab = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self._socket.receive())).get("id") != number:
            pass
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['message']}")
        return answer["result"]

    def open(self, url: str) -> None:
        self.call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def press(self, *keys: str) -> None:
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call(
            "input.performActions", context=self._tab, actions=[{"type": "key", "id": "keys", "actions": actions}]
        )

    def point_at(self, selector: str) -> None:
        script = MIDDLE % json.dumps(selector)
        x, y = map(int, self.value(script).split(","))
        move = [{"type": "pointerMove", "x": x, "y": y}]
        self.call(
            "input.performActions", context=self._tab, actions=[{"type": "pointer", "id": "mouse", "actions": move}]
        )

    def value(self, script: str) -> Any:
        """What an expression gives: a text, a number or a truth."""
        target = {"context": self._tab}
        answer = self.call("script.evaluate", expression=script, target=target, awaitPromise=True)
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return answer["result"].get("value")


@contextmanager
def start_firefox(program: str, folder: Path) -> Iterator[Firefox]:
    log = folder / "firefox.log"
    command = [program, "--headless", "--remote-debugging-port", "0", "--profile", str(folder), "--no-remote"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        with WebSocket("127.0.0.1", port_in(log), "/session") as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.wait(30)


def port_in(log: Path) -> int:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if found := LISTENING.search(log.read_text(errors="replace")):
            return int(found[1])
        time.sleep(0.05)
    raise TimeoutError(f"Firefox does not listen: {log.read_text(errors='replace')[-1000:]}")

"""An answer that comes piece by piece, as server-sent events; what a server sends whole is read by `wire`."""

from __future__ import annotations

import json
from typing import Any

from workers.engines import Generation
from workers.engines.openai.wire import Fault, fault_of_event, stop_reason
from workers.repetition import cut_loop

LOOK_CHARS = 256  # a text is looked at for loops whenever it has grown by so much


class Answer:
    """The text so far, its tokens, and what ended it."""

    def __init__(self) -> None:
        self.text = ""
        self._tokens = self._pieces = 0
        self._reasons: tuple[Any, Any] = None, None
        self._looked_at = 0  # characters

    def add(self, line: str) -> bool:
        """Take in one line of the stream; whether there is more text for it. Raises Fault for what is none of ours."""
        name, _, data = line.partition(":")
        data = data.strip()
        if name != "data" or data == "[DONE]":
            return False
        try:
            event = json.loads(data)
            if event.get("error"):
                raise fault_of_event(event["error"])
            self._tokens = int((event.get("usage") or {}).get("completion_tokens") or self._tokens)
            return max(map(self._choose, event.get("choices") or ()), default=False)
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            raise Fault("invalid", f"the model server's answer is no chat completion ({type(exc).__name__})") from exc

    def _choose(self, choice: dict[str, Any]) -> bool:
        piece = (choice.get("delta") or {}).get("content") or ""
        self.text += piece
        self._pieces += bool(piece)
        if choice.get("finish_reason") is not None:
            self._reasons = choice.get("stop_reason"), choice["finish_reason"]
        return bool(piece)

    @property
    def is_due(self) -> bool:
        """Whether it is time for `loops`."""
        return len(self.text) - self._looked_at >= LOOK_CHARS

    def loops(self) -> bool:
        self._looked_at = len(self.text)
        return cut_loop(self.text) != self.text

    def ended_early(self) -> Generation:
        return Generation(text=self.text, stop_reason="repetition", tokens=self._tokens or self._pieces)

    def generation(self) -> Generation:
        """The whole answer; raises Fault where it has no end."""
        reason = stop_reason(self._reasons, self.text)
        return Generation(text=self.text, stop_reason=reason, tokens=self._tokens or self._pieces)

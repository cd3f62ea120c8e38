"""What goes over the wire to an OpenAI-compatible server, and what its answers mean.

Only the part of the chat-completions interface is used that vLLM, SGLang, llama-server and `transformers serve` share.
"""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from PIL import Image

from workers.engines import EngineError, Generation, Prepared, StopReason
from workers.engines.profiles import PLAIN, Profile
from workers.repetition import cut_loop

JPEG_QUALITY = 90
MAX_MESSAGE_CHARS = 200  # of what the server says about an error
AWAY_STATUS = (502, 503)  # said by a proxy, or by a server that loads its model; never about one page

STOP_REASONS: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "repetition": "repetition",  # vLLM with `repetition_detection`, whose stop_reason is "repetition_detected"
    "repetition_detected": "repetition",
}
HINTS = {
    401: "check OPENAI_API_KEY",
    403: "check OPENAI_API_KEY",
    404: "check OPENAI_BASE_URL and MODEL",
    413: "lower VLM_MAX_DIMENSION, or let the server take larger requests",
}


class Fault(Exception):
    """A request that came to nothing.

    `kind` is a short name for metrics. A fault that is `transient` may pass; one that is `away` says that the server
    as a whole cannot be reached. `retry_after_s` is how long the server asked to be left alone, `seconds` how long the
    request took.
    """

    seconds = 0.0

    def __init__(
        self, kind: str, message: str, *, transient: bool = True, away: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind, self.transient, self.away, self.retry_after_s = kind, transient, away, retry_after_s

    @property
    def blames_server(self) -> bool:
        """Whether the fault is more likely the server's than the page's."""
        return self.away or (self.kind.startswith("http_5") and self.kind != "http_501")

    @property
    def is_answer(self) -> bool:
        """Whether a server that is well has spoken, be it to refuse the page."""
        return self.kind.startswith("http_4") or self.kind in ("http_501", "invalid", "incomplete")


def request_body(
    prepared: Prepared,
    model: str,
    profile: Profile = PLAIN,
    extra: Mapping[str, Any] | None = None,
    *,
    structured: bool = True,
) -> bytes:
    """The JSON of a chat completion for one page, its image as a JPEG data URL. Raises EngineError without image.

    The answer is asked for piece by piece; `extra` has the last word in this and all else.

    Where a page has a schema, a `structured` answer is one that the server itself keeps to it.

    `skip_special_tokens` is vLLM's and SGLang's; it goes only where the answer is made of special tokens.
    """
    if prepared.image is None:
        raise EngineError("The openai engine wants the page's image.")
    request = prepared.request
    prompt = profile.resolve(request.prompt)
    content: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": data_url(prepared.image)}}]
    content += [{"type": "text", "text": prompt}] if prompt else []
    body = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": request.max_new_tokens,
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    body |= {"skip_special_tokens": False} if profile.keeps_special else {}
    body |= {"response_format": response_format(request.schema)} if request.schema and structured else {}
    body |= extra or {}
    if not body["stream"]:
        body.pop("stream_options", None)
    return json.dumps(body).encode()


def response_format(schema: str) -> dict[str, Any]:
    """OpenAI's structured output; not `strict`, which takes a part of JSON Schema only."""
    return {"type": "json_schema", "json_schema": {"name": "values", "schema": json.loads(schema)}}


def data_url(image: Image.Image) -> str:
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def fault_of_transport(exc: httpx.RequestError) -> Fault:
    """What a failure below HTTP means: no connection is the server's fault, a broken one may be the request's."""
    if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
        return Fault("connect", f"the model server cannot be reached: {_say(exc)}", away=True)
    if isinstance(exc, httpx.UnsupportedProtocol):
        return Fault("address", f"OPENAI_BASE_URL cannot be used: {_say(exc)}", transient=False)
    return Fault("dropped", f"the model server broke the connection: {_say(exc)}")


def _say(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


def read_answer(response: httpx.Response) -> Generation:
    """The text of a complete answer; raises Fault for every other."""
    if response.status_code != 200:
        raise fault_of_status(response)
    try:
        answer = response.json()
        choice = answer["choices"][0]
        text = choice["message"].get("content") or ""
        usage = answer.get("usage") or {}
        tokens = int(usage.get("completion_tokens") or 0)
        reasons = choice.get("stop_reason"), choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise Fault("invalid", f"the model server's answer is no chat completion ({type(exc).__name__})") from exc
    if not isinstance(text, str):
        raise Fault("invalid", "the model server's answer has no text", transient=False)
    return Generation(text=text, stop_reason=stop_reason(reasons, text), tokens=tokens)


def stop_reason(reasons: tuple[Any, Any], text: str) -> StopReason:
    """What ended the text, by vLLM's `stop_reason` and everyone's `finish_reason`; a loop we find counts as one."""
    finish = reasons[1]
    if reasons[0] == "repetition_detected":
        return "repetition"
    if finish not in STOP_REASONS:
        raise Fault("incomplete", f"the model server's answer is not complete (finish_reason {finish!r})")
    reason = STOP_REASONS[finish]
    return "repetition" if reason in ("stop", "length") and cut_loop(text) != text else reason


def fault_of_status(response: httpx.Response) -> Fault:
    """What a status other than 200 means."""
    status = response.status_code
    transient = status in (408, 429) or (status >= 500 and status != 501)
    hint = f"; {HINTS[status]}" if status in HINTS else ""
    return Fault(
        f"http_{status}",
        f"the model server answered {status}: {_message(response)}{hint}",
        transient=transient,
        away=status in AWAY_STATUS,
        retry_after_s=retry_after_s(response.headers.get("Retry-After", "")) if transient else None,
    )


def fault_of_event(error: Any) -> Fault:
    """What a server says that fails in the middle of an answer."""
    code = error.get("code") if isinstance(error, dict) else None
    said = error.get("message", error) if isinstance(error, dict) else error
    message = f"the model server broke off: {' '.join(str(said).split())[:MAX_MESSAGE_CHARS]}"
    if isinstance(code, int) and 400 <= code < 500:
        return Fault(f"http_{code}", message, transient=code in (408, 429))
    return Fault("http_500", message)


def _message(response: httpx.Response) -> str:
    """What the server says about its error, on one line."""
    try:
        answer = response.json()
        said = answer.get("error", answer.get("detail", answer))
        said = said.get("message", said) if isinstance(said, dict) else said
    except (ValueError, AttributeError):
        said = response.text
    return " ".join(str(said).split())[:MAX_MESSAGE_CHARS] or response.reason_phrase


def retry_after_s(value: str) -> float | None:
    """Seconds that a `Retry-After` header asks for, as a number or a date (RFC 9110, 10.2.3); None for neither."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None

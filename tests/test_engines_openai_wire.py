"""What an OpenAI-compatible server's answers mean."""

from __future__ import annotations

import httpx
import pytest

from workers.engines.openai.wire import Fault, read_answer, retry_after_s


@pytest.mark.parametrize(
    "body",
    [
        "null",
        "[]",
        '{"error": {"message": "overloaded"}}',
        '{"choices": []}',
        '{"choices": [{"message": null, "finish_reason": "stop"}]}',
        '{"choices": [{"message": {"content": "half"}, "finish_reason": null}]}',
        '{"choices": [{"message": {"content": "half"}, "finish_reason": "abort"}]}',
        '{"choices": [{"message": {"content": ["a"]}, "finish_reason": "stop"}]}',
    ],
)
def test_answer_that_is_not_complete_does_not_count(body: str) -> None:
    with pytest.raises(Fault, match="the model server's answer"):
        read_answer(httpx.Response(200, text=body))


def test_retry_after_may_be_a_date() -> None:
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert (retry_after_s("1.5"), retry_after_s("soon"), retry_after_s("")) == (1.5, None, None)


def test_text_without_an_end_is_told_by_its_repetition() -> None:
    body = {"choices": [{"message": {"content": "a b c " * 60}, "finish_reason": "length"}]}
    assert read_answer(httpx.Response(200, json=body)).stop_reason == "repetition"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, '{"error": {"message": "too long"}}', "answered 400: too long"),
        (400, '{"detail": "no such\\nfield"}', "answered 400: no such field"),
        (404, "<html>nothing here</html>", "answered 404: <html>nothing here</html>; check OPENAI_BASE_URL and MODEL"),
        (500, "", "answered 500: Internal Server Error"),
        (500, "x" * 10_000, f"answered 500: {'x' * 200}$"),
    ],
)
def test_error_says_what_the_server_says_in_short(status: int, body: str, said: str) -> None:
    with pytest.raises(Fault, match=said) as caught:
        read_answer(httpx.Response(status, text=body))
    assert caught.value.transient == (status >= 500)

"""What the `openai` engine can be told."""

from __future__ import annotations

from dataclasses import dataclass

from workers.engines.options import ModelOptions, option


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions(ModelOptions):
    """Of a client; the model is its server's."""

    base_url: str = option(
        "", setting="openai_base_url", unit="URL", help="An OpenAI-compatible server, up to and with /v1.", tells=True
    )
    api_key: str = option("", setting="openai_api_key", unit="secret", help="The key that server wants.")
    parallel_requests: int = option(
        1,
        setting="parallel_vlm_requests",
        unit="requests",
        help="Concurrent requests to that server; 1 is one after another.",
    )
    timeout_s: float = option(300.0, setting="vlm_concurrent_timeout")
    retry_count: int = option(2, setting="vlm_retry_count")

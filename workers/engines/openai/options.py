"""What the `openai` engine can be told."""

from __future__ import annotations

from dataclasses import dataclass

from workers.engines.options import ModelOptions, option


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIOptions(ModelOptions):
    """Of a client; the model is its server's."""

    base_url: str = option(
        "",
        setting="openai_base_url",
        unit="URLs",
        help="OpenAI-compatible servers of one model by comma, each up to and with /v1.",
        tells=True,
    )
    api_key: str = option("", setting="openai_api_key", unit="secret", help="The key they want.")
    parallel_requests: int = option(
        1,
        setting="parallel_vlm_requests",
        unit="requests",
        help="Concurrent requests to these servers; 1 is one after another, vLLM is busy with 32 each.",
    )
    extra_body: str = option(
        "",
        setting="openai_extra_body",
        unit="JSON",
        help="Put into every request, such as response_format or what only your server knows.",
        tells=True,
    )
    timeout_s: float = option(300.0, setting="vlm_concurrent_timeout")
    retry_count: int = option(2, setting="vlm_retry_count")

    @property
    def base_urls(self) -> list[str]:
        return [url.strip() for url in self.base_url.split(",") if url.strip()]

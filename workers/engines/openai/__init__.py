"""The `openai` engine: a server that speaks OpenAI's chat completions does the work."""

from __future__ import annotations

from workers.engines.openai.options import OpenAIOptions

OPTIONS = OpenAIOptions
ENGINE = "workers.engines.openai.engine:OpenAIEngine"

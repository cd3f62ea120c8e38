"""What a model is asked for each kind of task."""

from __future__ import annotations

TRANSCRIBE = (
    "Transcribe this page to Markdown in natural reading order. Keep headings, lists and tables; "
    "write formulas as LaTeX. Write only what stands on the page."
)
DESCRIBE = "Describe this image in detail: what it shows, how it is laid out, and any text that can be read."


def build_prompt(task: str, *, question: str = "", prompt: str = "") -> str:
    """The prompt for a page; an own `prompt` goes before everything. Raises ValueError for "ask" without a question."""
    if prompt:
        return prompt
    if task == "ask":
        if not question.strip():
            raise ValueError("task=ask needs a question; send one in the field `question`")
        return question
    return DESCRIBE if task == "describe" else TRANSCRIBE

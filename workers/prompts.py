"""What a model is asked for each kind of task."""

from __future__ import annotations

TRANSCRIBE = (
    "Transcribe this page to Markdown in natural reading order. Keep headings, lists and tables; "
    "write formulas as LaTeX. Write only what stands on the page."
)
EXTRACT = (
    "Take the values that this JSON schema asks for from the page, each as it is written there. Make up nothing: leave "
    "out, or set to null where the schema allows it, what does not stand on the page. Answer with one JSON value that "
    "is valid by the schema, and with nothing else."
)
DESCRIBE = "Describe this image in detail: what it shows, how it is laid out, and any text that can be read."


def build_prompt(task: str, *, question: str = "", prompt: str = "", schema: str = "") -> str:
    """The prompt for a page; an own `prompt` goes before everything. Raises ValueError for "ask" without a question."""
    if task == "extract":
        return f"{prompt or EXTRACT}\n\n{schema}"
    if prompt:
        return prompt
    if task == "ask":
        if not question.strip():
            raise ValueError("task=ask needs a question; send one in the field `question`")
        return question
    return DESCRIBE if task == "describe" else TRANSCRIBE

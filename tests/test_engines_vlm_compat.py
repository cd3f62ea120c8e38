"""What the vlm engine takes from transformers beside its documented interface: which of it is gone, and where it is."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from transformers.cache_utils import StaticLayer
from transformers.processing_utils import ProcessorMixin

ENGINE = Path(__file__).parents[1] / "workers" / "engines" / "vlm"
COMPAT = ENGINE / "compat.py"  # not imported: where a name is gone, it cannot be


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of all that a file imports from transformers and not from its top."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("transformers."):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.startswith("transformers."))


def private_attributes(path: Path) -> set[str]:
    """Names with an underscore that a file reads of other objects than its own."""
    return {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }


def small_qwen() -> Any:
    with torch.device("meta"):
        return hf.Qwen2_5_VLModel(hf.Qwen2_5_VLConfig(text_config={"num_hidden_layers": 1}, vision_config={"depth": 1}))


# What the engine calls or reads; each entry is true where a version of transformers has it.
ATTRIBUTES: dict[str, Callable[[], bool]] = {
    "PreTrainedConfig._attn_implementation": lambda: hasattr(hf.LlamaConfig(), "_attn_implementation"),
    "PreTrainedModel._can_compile_fullgraph": lambda: hasattr(hf.PreTrainedModel, "_can_compile_fullgraph"),
    "Qwen2_5_VLModel.rope_deltas": lambda: hasattr(small_qwen(), "rope_deltas"),
    "ProcessorMixin.get_attributes": lambda: callable(ProcessorMixin.get_attributes),
    "ProcessorMixin.get_processor_dict": lambda: callable(ProcessorMixin.get_processor_dict),
    "ProcessorMixin.check_argument_for_proper_class": lambda: callable(ProcessorMixin.check_argument_for_proper_class),
    "ImageProcessingMixin.get_image_processor_dict": lambda: callable(hf.ImageProcessingMixin.get_image_processor_dict),
    "GenerationMixin.prepare_inputs_for_generation": lambda: callable(hf.GenerationMixin.prepare_inputs_for_generation),
    "PreTrainedModel.get_experts_implementation": lambda: callable(hf.PreTrainedModel.get_experts_implementation),
    "PreTrainedModel.set_experts_implementation": lambda: callable(hf.PreTrainedModel.set_experts_implementation),
    "StaticLayer.get_mask_sizes": lambda: callable(StaticLayer.get_mask_sizes),
    "StaticLayer.get_seq_length": lambda: callable(StaticLayer.get_seq_length),
    "Cache.reorder_cache": lambda: callable(hf.Cache.reorder_cache),
    "EncoderDecoderCache.reorder_cache": lambda: callable(hf.EncoderDecoderCache.reorder_cache),
}


@pytest.mark.parametrize(("module", "name"), list(imported(COMPAT)))
def test_name_is_where_the_engine_imports_it_from(module: str, name: str) -> None:
    assert hasattr(import_module(module), name), f"transformers {hf.__version__} has no {name} in {module} any more"


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attribute_is_there(name: str) -> None:
    try:
        is_there = ATTRIBUTES[name]()
    except AttributeError:
        is_there = False
    assert is_there, f"transformers {hf.__version__} has no {name} any more"


def test_private_names_stand_in_one_module() -> None:
    """And each of them is among those that the test above asks for."""
    found = {
        path.name: names
        for path in ENGINE.glob("*.py")
        if (names := private_attributes(path) | {name for _, name in imported(path)}) and path != COMPAT
    }
    assert not found
    assert private_attributes(COMPAT) <= {name.partition(".")[2] for name in ATTRIBUTES}


def test_documented_names_are_there() -> None:
    wanted = {
        alias.name
        for path in ENGINE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "transformers"
        for alias in node.names
    }
    assert "Cache" in wanted
    assert {name for name in wanted if not hasattr(hf, name)} == set()

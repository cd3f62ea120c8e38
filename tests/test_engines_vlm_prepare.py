"""The CPU side of the vlm engine: a page's tensors are those of the checkpoint's own processor."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_engines import (
    FAMILIES,
    QUICKEST,
    SIZES,
    checkpoint,
    loaded,
    prepare_pages,
)
from tiny_models import draw_page
from transformers import AutoImageProcessor, AutoProcessor, ProcessorMixin
from transformers.utils import is_torchvision_available

from workers.engines import Control, EngineError, PageRequest, Prepared
from workers.engines.registry import load_engine
from workers.engines.vlm.collate import collate
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions
from workers.prompts import TRANSCRIBE

# The processor of GLM hands tensors to NumPy 2 in the way of NumPy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


WITH_VIDEO = {"qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm_ocr", "smolvlm", "llava_onevision", "internvl"}
CHAT = ["qwen2_5_vl", "smolvlm", "llava", "llava_next", "lighton_ocr", "paddleocr_vl", "glm_ocr"]


def stock_processor(folder: str, name: str) -> Any:
    """The processor as transformers loads it; families with a video part cannot be loaded without torchvision."""
    return AutoImageProcessor.from_pretrained(folder) if name == "vit_reader" else AutoProcessor.from_pretrained(folder)


def processor_batch(engine: VlmEngine, name: str) -> dict[str, torch.Tensor]:
    """What the checkpoint's processor makes of all the pages at once."""
    pages = [draw_page(*size, seed) for seed, size in enumerate(SIZES)]
    ours = engine.processor
    processor = ours.processor if name in WITH_VIDEO else stock_processor(engine.checkpoint.name, name)
    if ours.style == "none":
        return dict(processor(images=pages, return_tensors="pt"))
    prompt = ours.resolve_prompt("")
    text = ours.render_chat(prompt) if ours.style == "chat" else prompt
    images = [[page] for page in pages] if ours.style == "chat" else pages
    if hasattr(processor, "tokenizer"):
        processor.tokenizer.padding_side = ours.tokenizer.padding_side
    return dict(processor(images=images, text=[text] * len(pages), padding=True, return_tensors="pt"))


@pytest.mark.parametrize("name", FAMILIES)
def test_collated_pages_equal_the_processors_own_batch(name: str) -> None:
    engine = loaded(name)
    expected = processor_batch(engine, name)
    pages = [page.tensors or {} for page in prepare_pages(engine)]
    pad_id = engine.processor.tokenizer.pad_token_id
    batch = collate(pages, pad_id=pad_id, pad_left=not engine.checkpoint.is_encoder_decoder)
    for key, value in batch.items():
        if key == "pixel_attention_mask":
            value = value.to(expected[key].dtype)  # travels as bool; 512² integers a tile are larger than its pixels
        assert value.dtype == expected[key].dtype, key
        assert torch.equal(value, expected[key]), key
    dropped = set(expected) - set(batch)
    assert not dropped & {"input_ids", "attention_mask", "pixel_values", "image_grid_thw", "flattened_patches"}
    if "pixel_attention_mask" in dropped:  # the model makes it of the tiles that are not all zero
        tiles = expected["pixel_values"].flatten(2).any(-1)
        assert torch.equal(expected["pixel_attention_mask"].flatten(2).any(-1), tiles)
        assert bool(expected["pixel_attention_mask"][tiles].all())


@pytest.mark.parametrize("name", CHAT)
def test_prompt_equals_the_chat_template_of_the_processor_token_for_token(name: str) -> None:
    engine = loaded(name)
    page = draw_page(*SIZES[0], 0)
    question = "Wie viele Zeilen? 1–3 ✓"
    prepared = engine.prepare(page, PageRequest(page_number=1, prompt=question))
    content = [{"type": "image", "image": page}, {"type": "text", "text": question}]
    processor = engine.processor.processor
    arguments = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    apply = ProcessorMixin.apply_chat_template  # SmolVLM's own asks for its video processor
    expected = apply(processor, [{"role": "user", "content": content}], processor.chat_template, **arguments)
    assert prepared.tensors is not None
    assert prepared.tensors["input_ids"].tolist() == expected["input_ids"].tolist()
    assert prepared.num_tokens == expected["input_ids"].shape[1]


def test_llava_pixels_are_bicubic_scaled_and_normalised() -> None:
    engine = loaded("llava")
    page = draw_page(200, 200, 3)
    tensors = engine.prepare(page, PageRequest(page_number=1)).tensors
    settings = engine.processor.processor.image_processor
    square = np.asarray(page.resize((70, 70), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    expected = (square - np.array(settings.image_mean)) / np.array(settings.image_std)
    assert tensors is not None
    np.testing.assert_allclose(tensors["pixel_values"][0].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_prepare_needs_no_weights(tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint(QUICKEST), tmp_path / "bare")
    (folder / "model.safetensors").unlink()
    engine = load_engine("vlm", VlmOptions(model=str(folder), device="cpu"))
    prepared = engine.prepare(draw_page(100, 100, 0), PageRequest(page_number=1))
    assert prepared.num_tokens > 0
    with pytest.raises(EngineError, match="not loaded"):
        engine.generate([prepared], Control())
    with pytest.raises(EngineError, match=r"weights of .* cannot be loaded"):
        engine.load()


@pytest.mark.parametrize("name", ["qwen2_5_vl", "smolvlm", "florence2", "vit_reader"])
def test_packed_page_is_the_same_page(name: str) -> None:
    engine = loaded(name)
    page = prepare_pages(engine)[0]
    data = engine.pack(page)
    assert data is not None
    unpacked = engine.unpack(data, page.request)
    assert unpacked.num_tokens == page.num_tokens > 0
    assert engine.generate([unpacked], Control()) == engine.generate([page], Control())


def test_spooled_tensors_are_small() -> None:
    options = VlmOptions(model=str(checkpoint("idefics3")), device="cpu", dtype="bfloat16")
    tensors = prepare_pages(VlmEngine(options))[0].tensors
    assert tensors is not None
    assert tensors["pixel_values"].dtype == torch.bfloat16
    assert tensors["input_ids"].dtype == torch.int32
    assert not {"attention_mask", "pixel_attention_mask"} & set(tensors)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ({"config": "bfloat16"}, torch.bfloat16),
        ({"text_config": "bfloat16"}, torch.bfloat16),
        ({"config": "float16", "text_config": "bfloat16"}, torch.float16),
        ({}, torch.float32),
    ],
)
def test_pixels_for_a_gpu_are_of_the_type_of_the_weights(
    dtypes: dict[str, str], expected: torch.dtype, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("qwen3_vl"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        part.pop("dtype", None)
    for part, dtype in dtypes.items():
        config.get(part, config)["dtype"] = dtype
    (folder / "config.json").write_text(json.dumps(config))
    tensors = prepare_pages(VlmEngine(VlmOptions(model=str(folder), device="cuda")))[0].tensors
    assert tensors is not None
    assert tensors["pixel_values"].dtype == expected


def test_page_without_tensors_is_prepared_from_its_image() -> None:
    engine = loaded(QUICKEST)
    page = prepare_pages(engine)[0]
    lost = Prepared(request=page.request, image=draw_page(*SIZES[0], 0))
    assert engine.generate([lost], Control()) == engine.generate([page], Control())
    with pytest.raises(EngineError, match="page 1 has neither"):
        engine.generate([Prepared(request=page.request)], Control())


def test_prompt_style_is_found_out() -> None:
    styles = {name: loaded(name).processor.style for name in FAMILIES}
    assert {name for name, style in styles.items() if style == "raw"} == {"florence2", "paligemma"}
    assert {name for name, style in styles.items() if style == "none"} == {
        "got_ocr2", "donut", "vit_reader", "pix2struct"
    }  # fmt: skip


def test_checkpoint_made_for_one_prompt_gets_it_for_a_plain_transcription() -> None:
    assert loaded("florence2").processor.resolve_prompt(TRANSCRIBE) == "<OCR>"
    assert loaded("paddleocr_vl").processor.resolve_prompt("") == "OCR:"
    assert loaded("paddleocr_vl").processor.resolve_prompt("How many?") == "How many?"
    assert loaded("granite_docling").processor.resolve_prompt("") == "Convert this page to docling."
    assert loaded("llava").processor.resolve_prompt("") == TRANSCRIBE


def test_prompt_style_that_does_not_fit_is_named() -> None:
    engine = VlmEngine(VlmOptions(model=str(checkpoint("vit_reader")), prompt_style="chat"))
    with pytest.raises(EngineError, match="has no chat template"):
        engine.prepare(draw_page(100, 100, 0), PageRequest(page_number=1))


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is there")
def test_image_processor_that_needs_torchvision_is_named(tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("llava"), tmp_path / "model")
    settings = json.loads((folder / "processor_config.json").read_text())
    settings["image_processor"]["image_processor_type"] = "Llama4ImageProcessor"
    (folder / "processor_config.json").write_text(json.dumps(settings))
    with pytest.raises(EngineError, match=r"[Tt]orchvision"):
        VlmEngine(VlmOptions(model=str(folder))).prepare(draw_page(100, 100, 0), PageRequest(page_number=1))


def test_one_thread_prepares_while_another_decodes() -> None:
    engine = loaded(QUICKEST)
    page, request = draw_page(*SIZES[0], 0), PageRequest(page_number=1)
    expected = engine.prepare(page, request).num_tokens
    with ThreadPoolExecutor(3) as pool:
        prepared = [pool.submit(engine.prepare, page, request) for _ in range(20)]
        texts = [engine.processor.decode(list(range(4, 250))) for _ in range(200)]
        assert {future.result().num_tokens for future in prepared} == {expected}
    assert len(set(texts)) == 1

"""What is known of models: the right table for a name, and engines that go by it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tasks.settings import SettingsError, load_settings
from tools import models_page
from web.cli.parser import main
from workers.engines import EngineError, PageRequest, Prepared
from workers.engines.echo import EchoOptions
from workers.engines.openai.engine import OpenAIEngine
from workers.engines.openai.options import OpenAIOptions
from workers.engines.openai.wire import request_body
from workers.engines.profiles import PLAIN, find, profile_of, profiles
from workers.engines.vlm.compat import MODEL_CLASSES
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.options import VlmOptions
from workers.prompts import TRANSCRIBE


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("ibm-granite/granite-docling-258M", "granite-docling"),
        ("docling-project/SmolDocling-256M-preview", "granite-docling"),
        ("allenai/olmOCR-2-7B-1025-FP8", "olmocr"),
        ("datalab-to/chandra-ocr-2", "chandra-2"),
        ("datalab-to/chandra", "chandra"),
        ("nanonets/Nanonets-OCR2-3B", "nanonets"),
        ("lightonai/LightOnOCR-2-1B", "lighton-ocr"),
        ("PaddlePaddle/PaddleOCR-VL-1.5", "paddleocr-vl"),
        ("zai-org/GLM-OCR", "glm-ocr"),
        ("deepseek-ai/DeepSeek-OCR-2", "deepseek-ocr"),
        ("opendatalab/MinerU2.5-2509-1.2B", "mineru"),
        ("rednote-hilab/dots.ocr", "dots-ocr"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen-vl"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen-vl"),
        ("google/gemma-3-4b-it", "gemma-3"),
        ("/models/chandra/", "chandra"),
        ("chandra/another-model", "general"),
        ("", "general"),
    ],
)
def test_the_last_part_of_a_name_tells_the_family(model: str, profile: str) -> None:
    assert find(model).name == profile


def test_a_folder_is_known_by_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "glm_ocr"}))
    assert find(str(tmp_path)).name == "glm-ocr"
    assert find("mine/finetune", "lighton_ocr").name == "lighton-ocr"


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"model_type": 3}'])
def test_a_config_that_says_nothing_leaves_the_model_unknown(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    assert find(str(tmp_path)) == PLAIN


@pytest.mark.parametrize("profile", profiles().values(), ids=lambda profile: profile.name)
def test_a_profile_is_whole(profile: object) -> None:
    assert isinstance(profile, type(PLAIN))
    assert profile.max_side % profile.factor == 0
    assert not set(profile.model_types) - set(MODEL_CLASSES)
    assert profile == PLAIN or (profile.models and profile.license and profile.source)


def test_settings_go_before_the_profile() -> None:
    said = {"MODEL": "allenai/olmOCR-2", "MODEL_PROMPT": "Read.", "MODEL_DIALECT": "markdown"}
    settings = load_settings(said | {"VLM_MAX_DIMENSION": "896", "VLM_RESIZE_FACTOR": "14"})
    profile = profile_of(settings.engine_options("openai"))
    assert (profile.name, profile.prompt, profile.dialect) == ("olmocr", "Read.", "markdown")
    assert (profile.max_side, profile.factor, profile.max_new_tokens) == (896, 14, 8000)


def test_a_profile_can_be_named_for_a_model_whose_name_says_nothing() -> None:
    options = OpenAIOptions(model="served-as-this", model_profile="dots-ocr")
    assert OpenAIEngine(options).image_spec.max_side == profiles()["dots-ocr"].max_side
    with pytest.raises(EngineError, match="MODEL_PROFILE='dots'"):
        OpenAIEngine(OpenAIOptions(model="m", model_profile="dots"))
    with pytest.raises(SettingsError, match="MODEL_PROFILE='dots' is not one of auto, granite-docling"):
        load_settings({"MODEL_PROFILE": "dots"})
    with pytest.raises(SettingsError, match="MODEL_DIALECT='xml' is not one of markdown, "):
        load_settings({"MODEL_DIALECT": "xml"})


def test_engines_without_a_model_have_the_general_profile() -> None:
    assert profile_of(EchoOptions()) is PLAIN


def body_of(model: str, prompt: str) -> dict[str, object]:
    prepared = Prepared(request=PageRequest(page_number=1, prompt=prompt), image=Image.new("RGB", (8, 8)))
    body = json.loads(request_body(prepared, model, find(model)))
    asked = [part["text"] for part in body["messages"][0]["content"] if part["type"] == "text"]
    return {"asked": asked, "skips": body.get("skip_special_tokens")}


def test_a_server_is_asked_in_the_words_of_its_model() -> None:
    assert body_of("zai-org/GLM-OCR", TRANSCRIBE) == {"asked": ["Text Recognition:"], "skips": None}
    assert body_of("zai-org/GLM-OCR", "How many?") == {"asked": ["How many?"], "skips": None}
    assert body_of("lightonai/LightOnOCR-2-1B", TRANSCRIBE) == {"asked": [], "skips": None}
    assert body_of("ibm-granite/granite-docling-258M", TRANSCRIBE)["skips"] is False
    assert body_of("a/b", TRANSCRIBE) == {"asked": [TRANSCRIBE], "skips": None}


def test_engines_are_listed(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["engines", "--json"]) == 0
    listed = json.loads(capsysbinary.readouterr().out)
    assert {profile["name"] for profile in listed["profiles"]} == set(profiles())
    assert listed["engine"] in listed["engines"]
    assert main(["engines"]) == 0
    table = capsysbinary.readouterr().out.decode()
    assert all(name in table for name in profiles())


def test_the_page_of_models_is_up_to_date() -> None:
    assert models_page.PAGE.read_text() == models_page.updated()


def test_a_model_that_vlm_cannot_load_is_sent_to_a_server(tmp_path: Path) -> None:
    folder = tmp_path / "dots.ocr"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "dots_ocr", "architectures": ["DotsOCRForCausalLM"]}))
    with pytest.raises(EngineError, match=r"serve it with vLLM[^\n]*no native class"):
        VlmEngine(VlmOptions(model=str(folder)))

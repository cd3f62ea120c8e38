"""What a hub id or a model folder holds, and whether the `vlm` engine can drive it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import try_to_load_from_cache
from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoConfig, GenerationMixin

from workers.engines import EngineError
from workers.engines.profiles import profile_of
from workers.engines.vlm.compat import MODEL_CLASSES
from workers.engines.vlm.options import VlmOptions

# Model types that transformers lists as image-to-text but that take or give something else than a page and its text.
REFUSED = {
    "cosmos3_omni": "it has no processor of its own",
    "evolla": "it reads proteins, not images",
    "fuyu": "its image patches travel as nested lists, not tensors",
    "git": "it captions an image and takes no prompt with it",
    "idefics": "its processor takes images mixed into lists of text",
    "instructblipvideo": "it reads videos, not images",
    "minicpmv4_6": "its processor needs its video processor, which needs torchvision",
    "minicpmv4_7": "its processor needs its video processor, which needs torchvision",
    "mllama": "its cross-attention masks have no place in this engine's batches",
    "pi0": "it writes robot actions, not text",
    "qwen2_5_omni_thinker": "it is one part of a speech model",
    "qwen3_omni_moe_thinker": "it is one part of a speech model",
    "shieldgemma2": "it scores an image, it writes no text",
    "udop": "it needs the words of the page and their boxes",
    "video_llava": "it reads videos, not images",
}

SAMPLES = 16  # places in a large weight file that are hashed
SAMPLE_BYTES = 1 << 16
WHOLE_FILE_BYTES = 64 << 20  # files up to this size are hashed whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint the engine can drive. `identity` names its weights, for caches and results."""

    name: str  # hub id or folder
    hub_revision: str | None  # the commit, where it is known
    identity: str
    config: Any
    model_class: Any

    @property
    def model_type(self) -> str:
        return str(self.config.model_type)

    @property
    def is_encoder_decoder(self) -> bool:
        return bool(self.config.is_encoder_decoder) or self.model_type == "vision-encoder-decoder"

    @property
    def pretrained(self) -> dict[str, Any]:
        """The arguments every `from_pretrained` of this checkpoint takes; code of the repository is never run."""
        revision = {"revision": self.hub_revision} if self.hub_revision else {}
        return {"pretrained_model_name_or_path": self.name, "trust_remote_code": False, **revision}


def open_named(options: VlmOptions) -> Checkpoint:
    """The checkpoint that the options name; an error says what is known of a model that cannot be loaded."""
    try:
        return open_checkpoint(options.model, options.model_revision)
    except EngineError as exc:
        if hint := profile_of(options).not_by_vlm:
            raise EngineError(f"{hint}. {exc}") from exc
        raise


def open_checkpoint(model: str, revision: str = "") -> Checkpoint:
    """Read what `model`, a hub id or a folder, is; no weights are loaded.

    Raises EngineError, naming why, where there is no such model or the engine cannot drive it.
    """
    if not model:
        raise EngineError("the vlm engine needs MODEL: a Hugging Face hub id or a local folder")
    config = _read_config(model, revision)
    if reason := refusal(config.model_type):
        raise EngineError(f"MODEL={model!r} cannot be driven: {reason}")
    pin = _commit(model, revision) or revision or None
    return Checkpoint(
        name=model,
        hub_revision=pin,
        identity=_identify(model, pin),
        config=config,
        model_class=MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(config)],
    )


def _read_config(model: str, revision: str) -> Any:
    pin = {"revision": revision} if revision else {}
    try:
        return AutoConfig.from_pretrained(model, trust_remote_code=False, **pin)
    except OSError as exc:
        raise EngineError(f"MODEL={model!r} is no model folder and no hub id that can be reached: {exc}") from exc
    except (ValueError, KeyError) as exc:
        raise EngineError(
            f"MODEL={model!r} has no native class in transformers {transformers.__version__}; "
            f"code shipped with a checkpoint is never run: {exc}"
        ) from exc


def _commit(model: str, revision: str) -> str | None:
    """The commit of the hub that the config was just read from; None for a folder.

    The weights and the processor are read from the same one, though the repository may move on meanwhile.
    """
    if Path(model).is_dir():
        return None
    found = try_to_load_from_cache(model, "config.json", revision=revision or None)
    return Path(found).parent.name if isinstance(found, str) else None


def refusal(model_type: str) -> str:
    """Why the engine does not drive checkpoints of `model_type`; empty where it does."""
    if model_type not in MODEL_CLASSES:
        return f"transformers {transformers.__version__} does not list {model_type} among its image-to-text models"
    if model_type in REFUSED:
        return REFUSED[model_type]
    model_class = getattr(transformers, MODEL_CLASSES[model_type])
    if getattr(model_class, "generate", None) is not GenerationMixin.generate:
        return f"{model_class.__name__} has a generate() of its own, which cannot be stopped page by page"
    return ""


def _identify(model: str, revision: str | None) -> str:
    """The hub commit, or a digest of the folder that is the same on every machine with the same files."""
    if not Path(model).is_dir():
        return f"{model}@{revision or 'main'}"
    digest = hashlib.sha256()
    for path in sorted(p for p in Path(model).iterdir() if p.is_file()):
        digest.update(f"{path.name}:{path.stat().st_size}\n".encode())
        for piece in _pieces(path):
            digest.update(piece)
    return f"{Path(model).resolve().name}@{digest.hexdigest()[:16]}"


def _pieces(path: Path) -> Iterator[bytes]:
    """The whole of a small file, evenly spread samples of a large one: gigabytes of weights are not read twice."""
    size = path.stat().st_size
    if size <= WHOLE_FILE_BYTES:
        yield path.read_bytes()
        return
    with path.open("rb") as file:
        for index in range(SAMPLES):
            file.seek((size - SAMPLE_BYTES) * index // (SAMPLES - 1))
            yield file.read(SAMPLE_BYTES)

"""Models of real sizes with random weights, for measuring how fast the `vlm` engine is; they read nothing."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import transformers as hf
from PIL import Image, ImageDraw, ImageFont
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from workers.engines import PageRequest, Prepared
from workers.engines.vlm.compat import without_video
from workers.engines.vlm.engine import VlmEngine
from workers.engines.vlm.model import DTYPES, LoadedModel, describe
from workers.engines.vlm.options import VlmOptions

PAD, BOS, EOS = 0, 1, 2
IMAGE_TOKENS = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
TILE_TOKENS = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))
QWEN_TOKENS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The measures of a model: `text` and `vision` go into the configs of its `family`, "idefics3" or "qwen2_5_vl"."""

    name: str
    family: str
    text: dict[str, Any]
    vision: dict[str, Any]
    is_tied: bool = True  # one table for the tokens that go in and out
    max_dimension: int = 1024


def _text(hidden: int, layers: int, heads: int, kv_heads: int, inner: int, vocabulary: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "intermediate_size": inner, "vocab_size": vocabulary,
        "max_position_embeddings": 32768, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD,
    }  # fmt: skip


def _vision(hidden: int, layers: int, heads: int, inner: int, **more: Any) -> dict[str, Any]:
    return {"hidden_size": hidden, "num_attention_heads": heads, "intermediate_size": inner, **more} | (
        {"depth": layers, "num_heads": heads} if "window_size" in more else {"num_hidden_layers": layers}
    )


# The measures of the models these are named after, as their config.json files give them.
SIZES = {
    size.name: size
    for size in (
        Size(
            name="smolvlm-256m",
            family="idefics3",
            text=_text(576, 30, 9, 3, 1536, 49280),
            vision=_vision(768, 12, 12, 3072, image_size=512, patch_size=16),
            is_tied=False,
        ),
        Size(
            name="granite-docling-258m",
            family="idefics3",
            text=_text(576, 30, 9, 3, 1536, 100352),
            vision=_vision(768, 12, 12, 3072, image_size=512, patch_size=16),
        ),
        Size(
            name="qwen2.5-vl-3b",
            family="qwen2_5_vl",
            text=_text(2048, 36, 16, 2, 11008, 151936),
            vision=_vision(
                1280, 32, 16, 3420, out_hidden_size=2048, window_size=112, fullatt_block_indexes=[7, 15, 23, 31]
            ),
        ),
        Size(
            name="toy-idefics3",
            family="idefics3",
            text=_text(256, 6, 4, 2, 768, 512),
            vision=_vision(192, 4, 4, 512, image_size=256, patch_size=16),
            max_dimension=512,
        ),
        Size(
            name="toy-qwen2.5-vl",
            family="qwen2_5_vl",
            text=_text(256, 6, 4, 2, 768, 512),
            vision=_vision(192, 4, 4, 512, out_hidden_size=256, window_size=112, fullatt_block_indexes=[3]),
            max_dimension=512,
        ),
    )
}


class RandomEngine(VlmEngine):
    """The engine with a model made from config on its device; nothing is read from disk but the processor.

    It may share the weights of another, `like`.
    """

    stops_loops = False

    def __init__(self, size: Size, *, like: RandomEngine | None = None, **options: Any) -> None:
        self._like = like
        folder = tempfile.mkdtemp(prefix="pagefan-random-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        config, processor = _FAMILIES[size.family](size)
        config.architectures, config.dtype = None, torch.bfloat16
        config.save_pretrained(folder)
        processor.save_pretrained(folder)
        super().__init__(VlmOptions(model=folder, max_dimension=size.max_dimension, **options))

    def _load_weights(self) -> LoadedModel:
        if self._like:
            return self._like._require_model()
        device = torch.device(self.options.device)
        config = self.checkpoint.config
        torch.manual_seed(0)
        with device:
            model = hf.AutoModelForImageTextToText.from_config(config, dtype=DTYPES[self.options.dtype]).eval()
        made = describe(model.to(device), self.checkpoint, self.processor.tokenizer)
        made.model.generation_config.eos_token_id = None
        return replace(made, eos_ids=frozenset())  # every answer has the length that is asked for

    @property
    def model(self) -> Any:
        return self._require_model().model

    @property
    def graph_seconds(self) -> float:
        """What recording steps has taken."""
        return self._refill.graphs.seconds if self._refill and self._refill.graphs else 0.0

    def prepare_page(self, seed: int, new_tokens: int) -> Prepared:
        """A page of text in A4's shape, as large as the engine wants it."""
        side = self.image_spec.max_side
        page = draw_text(side * 210 // 297 // 32 * 32, side, seed)
        return self.prepare(page, PageRequest(page_number=1, max_new_tokens=new_tokens))


def write_checkpoint(size: str) -> str:
    """A folder with a model of this size, gone when the process ends; any vlm engine can load it."""
    engine = RandomEngine(SIZES[size], device="cpu", dtype="float32", refill=False)
    engine.load()
    engine.model.to(torch.bfloat16).save_pretrained(engine.checkpoint.name)
    return engine.checkpoint.name


@cache
def toy_engine(size: str) -> RandomEngine:
    torch.set_num_threads(1)
    engine = RandomEngine(SIZES[size], device="cpu", dtype="float32")
    engine.load()
    return engine


@cache
def toy_preparer(size: str) -> RandomEngine:
    torch.set_num_threads(1)
    return RandomEngine(SIZES[size], device="cpu", dtype="float32")


def prepare_and_pack(size: str, seed: int, new_tokens: int) -> bytes:
    """What a CPU worker does; runs in a process of its own."""
    engine = toy_preparer(size)
    return engine.pack(engine.prepare_page(seed, new_tokens)) or b""


def draw_text(width: int, height: int, seed: int) -> Image.Image:
    """A page of numbered lines."""
    page = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for line, top in enumerate(range(20, height - 30, 20)):
        draw.text((24, top), f"{seed:04d} {line:03d} " + "lorem ipsum dolor sit amet " * 4, font=font, fill="black")
    return page


def _tokenizer(*special: str) -> Any:
    vocabulary = ["<pad>", "<s>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(vocabulary)}, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    wrapped.add_tokens(list(special), special_tokens=True)
    return wrapped


def _chat_template(image: str) -> str:
    return (
        "{% for m in messages %}User: {% for c in m['content'] %}{% if c['type'] == 'image' %}" + image + "{% else %}"
        "{{ c['text'] }}{% endif %}{% endfor %}\n{% endfor %}Assistant: "
    )


def _idefics3(size: Size) -> tuple[Any, Any]:
    tokenizer = _tokenizer(*IMAGE_TOKENS, *TILE_TOKENS)
    edge, patch = size.vision["image_size"], size.vision["patch_size"]
    config = hf.Idefics3Config(
        text_config={**size.text, "model_type": "llama"},
        vision_config=size.vision,
        scale_factor=4,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=PAD,
        tie_word_embeddings=size.is_tied,
    )
    processor = hf.Idefics3Processor(
        image_processor=hf.Idefics3ImageProcessorPil(
            size={"longest_edge": 4 * edge}, max_image_size={"longest_edge": edge}
        ),
        tokenizer=tokenizer,
        image_seq_len=(edge // patch // 4) ** 2,
        chat_template=_chat_template("<image>"),
    )
    return config, processor


def _qwen2_5_vl(size: Size) -> tuple[Any, Any]:
    tokenizer = _tokenizer(*QWEN_TOKENS)
    image, video, start, end = tokenizer.convert_tokens_to_ids(list(QWEN_TOKENS))
    head = size.text["hidden_size"] // size.text["num_attention_heads"]
    sections = [head // 8, 3 * head // 16, 3 * head // 16]  # of half a head: time, height, width
    rope = {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": sections}
    config = hf.Qwen2_5_VLConfig(
        text_config={**size.text, "rope_parameters": rope, "tie_word_embeddings": size.is_tied},
        vision_config={**size.vision, "patch_size": 14},
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
        tie_word_embeddings=size.is_tied,
    )
    processor_class = without_video(hf.Qwen2_5_VLProcessor)
    processor = processor_class(
        image_processor=hf.Qwen2VLImageProcessorPil(size={"shortest_edge": 56**2, "longest_edge": 2048**2}),
        tokenizer=tokenizer,
        video_processor=None,
        chat_template=_chat_template("<|vision_start|><|image_pad|><|vision_end|>"),
    )
    processor_class.get_attributes = classmethod(lambda _: ["image_processor", "tokenizer"])  # cannot save none
    return config, processor


_FAMILIES = {"idefics3": _idefics3, "qwen2_5_vl": _qwen2_5_vl}

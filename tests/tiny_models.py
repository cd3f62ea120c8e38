"""Tiny checkpoints with random weights, one a family of architectures, made from config and saved as any other.

They read nothing; they show that prepared, collated, batched and watched pages give what transformers itself gives.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers.generation import GenerationMixin

PAD, BOS, EOS = 0, 1, 2
SPREAD = 0.25
TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 8192,
    "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD,
}  # fmt: skip
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
ROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}

Made = tuple[Any, Any]  # model and processor


def build(make: Callable[[], Made], folder: Path) -> Path:
    """Write the checkpoint that `make` makes to `folder` and return it."""
    torch.manual_seed(0)
    model, processor = make()
    with torch.no_grad():
        _fill(model)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = EOS, PAD
    model.save_pretrained(folder)
    for part in processor if isinstance(processor, tuple) else (processor,):
        if "video_processor" in vars(part):
            type(part).get_attributes = classmethod(lambda _: ["image_processor", "tokenizer"])  # cannot save none
        part.save_pretrained(folder)
    return folder


def _fill(model: torch.nn.Module) -> None:
    """Weights wide enough that different pages get different answers."""
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            weight.normal_(std=SPREAD)
        else:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)


def draw_page(width: int, height: int, seed: int) -> Image.Image:
    """A white page with grey bars where lines of text would be; another `seed`, another page."""
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for line, top in enumerate(range(8, height - 12, 14)):
        shade = (37 * seed + 53 * line) % 160
        length = width * (30 + (29 * seed + 17 * line) % 60) // 100
        draw.rectangle((6, top, 6 + length, top + 6), fill=(shade, shade // 2, 80))
    return page


def byte_tokenizer(*special: str, side: str = "left", **named: str) -> Any:
    """A tokenizer with one token a byte, the `special` ones, and those a processor asks for by name."""
    vocabulary = ["<pad>", "<s>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(vocabulary)}, merges=[], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        padding_side=side, extra_special_tokens=named,
    )  # fmt: skip
    wrapped.add_tokens(
        [t for t in ("<|im_start|>", "<|im_end|>", *special) if t not in named.values()], special_tokens=True
    )
    return wrapped


def chat_template(image: str) -> str:
    """A chat template that writes `image` where the picture stands."""
    return (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}" + image + "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def token_id(tokenizer: Any, token: str) -> int:
    return int(tokenizer.convert_tokens_to_ids(token))


def with_vocabulary(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {**TEXT, "vocab_size": len(tokenizer), **more}


def plain_generate(model: GenerationMixin, inputs: dict[str, torch.Tensor], new_tokens: int) -> list[list[int]]:
    """What transformers' own loop makes of `inputs`: the ids of each row before its end token."""
    rows = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False).tolist()
    prompt = inputs.get("decoder_input_ids" if model.config.is_encoder_decoder else "input_ids")
    start = 1 if prompt is None else prompt.shape[1]  # an encoder-decoder without a prompt begins with one token
    answers = [row[start:] for row in rows]
    return [row[: row.index(EOS)] if EOS in row else row for row in answers]

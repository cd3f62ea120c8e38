"""Families with an image encoder beside a text decoder."""

from __future__ import annotations

from typing import Any

import transformers as hf
from tiny_models import (
    BOS,
    EOS,
    PAD,
    VISION,
    Made,
    byte_tokenizer,
    token_id,
)


def donut() -> Made:
    tokenizer = byte_tokenizer("<s_ocr>", "<s_other>", side="right")
    encoder = hf.DonutSwinConfig(
        image_size=[128, 96], patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    model = hf.VisionEncoderDecoderModel(config=_joint_config(encoder, tokenizer, width=16))
    images = hf.DonutImageProcessorPil(size={"height": 128, "width": 96})
    return model, hf.DonutProcessor(image_processor=images, tokenizer=tokenizer)


def vit_reader() -> Made:
    """As the reader of training/: an image processor and a tokenizer, and no processor class to join them."""
    tokenizer = byte_tokenizer(side="right")
    encoder = hf.ViTConfig(**VISION, image_size=64, patch_size=16)
    model = hf.VisionEncoderDecoderModel(config=_joint_config(encoder, tokenizer, width=32))
    return model, (hf.ViTImageProcessorPil(size={"height": 64, "width": 64}), tokenizer)


def _joint_config(encoder: Any, tokenizer: Any, width: int) -> Any:
    decoder = hf.MBartConfig(
        vocab_size=len(tokenizer), d_model=width, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=64,
        encoder_layers=0, max_position_embeddings=512, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD,
        forced_eos_token_id=None, is_decoder=True, add_cross_attention=True, decoder_start_token_id=BOS,
    )  # fmt: skip
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    config.decoder_start_token_id, config.pad_token_id, config.eos_token_id = BOS, PAD, EOS
    return config


def florence2() -> Made:
    tokenizer = byte_tokenizer("<image>", side="right", image_token="<image>")
    edge = 64
    images = hf.CLIPImageProcessorPil(
        size={"height": edge, "width": edge}, crop_size={"height": edge, "width": edge}, do_center_crop=False
    )
    images.image_seq_length = (edge // 32) ** 2 + 1
    text = {
        "model_type": "bart", "vocab_size": len(tokenizer), "d_model": 32, "encoder_layers": 2, "decoder_layers": 2,
        "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
        "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD, "decoder_start_token_id": EOS,
    }  # fmt: skip
    vision = {
        "depths": (1, 1, 1, 1), "embed_dim": (8, 16, 16, 32), "num_heads": (2, 2, 2, 4), "num_groups": (2, 2, 2, 4),
        "projection_dim": 32,
    }  # fmt: skip
    config = hf.Florence2Config(
        text_config=text, vision_config=vision, image_token_id=token_id(tokenizer, "<image>"), projection_dim=32
    )
    processor = hf.Florence2Processor(image_processor=images, tokenizer=tokenizer, num_additional_image_tokens=0)
    return hf.Florence2ForConditionalGeneration(config), processor


def pix2struct() -> Made:
    tokenizer = byte_tokenizer(side="right")
    config = hf.Pix2StructConfig(
        text_config={
            "vocab_size": len(tokenizer), "hidden_size": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
            "decoder_start_token_id": PAD, "eos_token_id": EOS, "pad_token_id": PAD, "is_decoder": True,
        },
        vision_config={**VISION, "patch_embed_hidden_size": 768, "d_ff": 64, "d_kv": 8},
        is_vqa=False,
    )  # fmt: skip
    processor = hf.Pix2StructProcessor(
        image_processor=hf.Pix2StructImageProcessorPil(max_patches=64, is_vqa=False), tokenizer=tokenizer
    )
    return hf.Pix2StructForConditionalGeneration(config), processor


FAMILIES = {
    make.__name__: make
    for make in (
        donut,
        vit_reader,
        florence2,
        pix2struct,
    )
}

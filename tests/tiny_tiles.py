"""Families that take an image as squares of one size."""

from __future__ import annotations

from typing import Any

import transformers as hf
from tiny_models import (
    PAD,
    VISION,
    Made,
    byte_tokenizer,
    chat_template,
    token_id,
    with_vocabulary,
)

from workers.engines.vlm.compat import without_video


def idefics3() -> Made:
    return _idefics(
        hf.Idefics3Config, hf.Idefics3ForConditionalGeneration, hf.Idefics3Processor, hf.Idefics3ImageProcessorPil
    )


def smolvlm() -> Made:
    return _idefics(
        hf.SmolVLMConfig,
        hf.SmolVLMForConditionalGeneration,
        without_video(hf.SmolVLMProcessor),
        hf.SmolVLMImageProcessorPil,
        video_processor=None,
    )


def _idefics(config_class: Any, model_class: Any, processor_class: Any, images_class: Any, **parts: Any) -> Made:
    edge = 64
    tokenizer = byte_tokenizer("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *_tiles())
    config = config_class(
        text_config=with_vocabulary(tokenizer, model_type="llama"),
        vision_config={**VISION, "image_size": edge, "patch_size": 16},
        scale_factor=2,
        image_token_id=token_id(tokenizer, "<image>"),
        pad_token_id=PAD,
    )
    processor = processor_class(
        image_processor=images_class(size={"longest_edge": 4 * edge}, max_image_size={"longest_edge": edge}),
        tokenizer=tokenizer,
        image_seq_len=(edge // 16 // 2) ** 2,
        chat_template=chat_template("<image>"),
        **parts,
    )
    return model_class(config), processor


def _tiles() -> list[str]:
    return [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]


def llava() -> Made:
    edge = 70
    tokenizer = byte_tokenizer("<image>")
    config = hf.LlavaConfig(
        text_config=with_vocabulary(tokenizer, model_type="llama"),
        vision_config={**VISION, "model_type": "clip_vision_model", "image_size": edge, "patch_size": 14},
        image_token_id=token_id(tokenizer, "<image>"),
        vision_feature_layer=-1,
    )
    images = hf.CLIPImageProcessorPil(size={"shortest_edge": edge}, crop_size={"height": edge, "width": edge})
    return hf.LlavaForConditionalGeneration(config), hf.LlavaProcessor(
        image_processor=images, **_llava_parts(tokenizer)
    )


def llava_next() -> Made:
    edge = 70
    pinpoints = [[edge, 2 * edge], [2 * edge, edge], [2 * edge, 2 * edge], [3 * edge, edge], [edge, 3 * edge]]
    tokenizer = byte_tokenizer("<image>")
    config = hf.LlavaNextConfig(
        text_config=with_vocabulary(tokenizer, model_type="llama"),
        vision_config={**VISION, "model_type": "clip_vision_model", "image_size": edge, "patch_size": 14},
        image_token_id=token_id(tokenizer, "<image>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
    )
    images = hf.LlavaNextImageProcessorPil(
        size={"shortest_edge": edge}, crop_size={"height": edge, "width": edge}, image_grid_pinpoints=pinpoints
    )
    processor = hf.LlavaNextProcessor(image_processor=images, **_llava_parts(tokenizer))
    return hf.LlavaNextForConditionalGeneration(config), processor


def _llava_parts(tokenizer: Any) -> dict[str, Any]:
    return {
        "tokenizer": tokenizer,
        "patch_size": 14,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
        "image_token": "<image>",
        "chat_template": chat_template("<image>"),
    }


def got_ocr2() -> Made:
    tokenizer = byte_tokenizer("<img>", "</img>", "<imgpad>", image_token="<imgpad>")
    vision = {
        "hidden_size": 16, "output_channels": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 1024, "patch_size": 16, "global_attn_indexes": [], "window_size": 8, "mlp_dim": 16,
    }  # fmt: skip
    image = token_id(tokenizer, "<imgpad>")
    config = hf.GotOcr2Config(
        text_config=with_vocabulary(tokenizer, model_type="qwen2"),
        vision_config=vision,
        image_token_id=image,
        image_token_index=image,
    )
    images = hf.GotOcr2ImageProcessorPil(size={"height": 1024, "width": 1024})
    return hf.GotOcr2ForConditionalGeneration(config), hf.GotOcr2Processor(image_processor=images, tokenizer=tokenizer)


def granite_docling() -> Made:
    edge = 64
    tokenizer = byte_tokenizer(
        "<image>", "<fake_token_around_image>", "<global-img>", "<doctag>", "</doctag>", *_tiles()
    )
    vision = {
        **VISION, "image_size": edge, "patch_size": 16, "out_hidden_size": 32, "scale_factor": 2,
        "deepstack_visual_indexes": [0], "use_fine_route": False,
    }  # fmt: skip
    config = hf.GraniteDoclingConfig(
        text_config=with_vocabulary(tokenizer, residual_multiplier=1.0, embedding_multiplier=1.0),
        vision_config=vision,
        image_token_id=token_id(tokenizer, "<image>"),
        pad_token_id=PAD,
    )
    processor = hf.GraniteDoclingProcessor(
        image_processor=hf.GraniteDoclingImageProcessorPil(size={"height": edge, "width": edge}, max_patches=4),
        tokenizer=tokenizer,
        image_seq_len=(edge // 16 // 2) ** 2,
        chat_template=chat_template("<image>"),
    )
    return hf.GraniteDoclingForConditionalGeneration(config), processor


def idefics2() -> Made:
    edge, latents = 112, 4
    tokenizer = byte_tokenizer("<image>", "<fake_token_around_image>", "<end_of_utterance>")
    text = with_vocabulary(tokenizer, model_type="mistral", sliding_window=None)
    perceiver = {"hidden_size": 32, "resampler_n_latents": latents, "resampler_depth": 1, "resampler_n_heads": 2}
    config = hf.Idefics2Config(
        text_config=text,
        vision_config={**VISION, "image_size": edge, "patch_size": 14},
        perceiver_config={**perceiver, "resampler_head_dim": 16, "num_key_value_heads": 2},
        image_token_id=token_id(tokenizer, "<image>"),
    )
    images = hf.Idefics2ImageProcessorPil(size={"shortest_edge": 56, "longest_edge": edge}, do_image_splitting=False)
    processor = hf.Idefics2Processor(
        image_processor=images, tokenizer=tokenizer, image_seq_len=latents, chat_template=chat_template("<image>")
    )
    return hf.Idefics2ForConditionalGeneration(config), processor


def llava_onevision() -> Made:
    edge = 56
    pinpoints = [[edge, edge], [edge, 2 * edge], [2 * edge, edge], [2 * edge, 2 * edge]]
    tokenizer = byte_tokenizer("<image>", "<video>")
    config = hf.LlavaOnevisionConfig(
        text_config=with_vocabulary(tokenizer, model_type="qwen2"),
        vision_config={
            **VISION, "model_type": "siglip_vision_model", "image_size": edge, "patch_size": 14,
            "vision_use_head": False,
        },
        image_token_index=token_id(tokenizer, "<image>"),
        video_token_index=token_id(tokenizer, "<video>"),
        image_grid_pinpoints=pinpoints,
    )  # fmt: skip
    processor = without_video(hf.LlavaOnevisionProcessor)(
        image_processor=hf.LlavaOnevisionImageProcessorPil(
            size={"height": edge, "width": edge}, image_grid_pinpoints=pinpoints
        ),
        tokenizer=tokenizer,
        video_processor=None,
        num_image_tokens=(edge // 14) ** 2,
        vision_feature_select_strategy="full",
        chat_template=chat_template("<image>"),
    )
    return hf.LlavaOnevisionForConditionalGeneration(config), processor


def internvl() -> Made:
    edge = 56
    names = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(*names.values(), **names)
    config = hf.InternVLConfig(
        text_config=with_vocabulary(tokenizer, model_type="qwen2"),
        vision_config={**VISION, "image_size": [edge, edge], "patch_size": [14, 14]},
        image_token_id=token_id(tokenizer, names["context_image_token"]),
        image_seq_length=4,
    )
    processor = without_video(hf.InternVLProcessor)(
        image_processor=hf.GotOcr2ImageProcessorPil(
            size={"height": edge, "width": edge}, crop_to_patches=True, max_patches=4
        ),
        tokenizer=tokenizer,
        video_processor=None,
        image_seq_length=4,
        chat_template=chat_template("<IMG_CONTEXT>"),
    )
    return hf.InternVLForConditionalGeneration(config), processor


FAMILIES = {
    make.__name__: make
    for make in (
        idefics3,
        smolvlm,
        llava,
        llava_next,
        got_ocr2,
        granite_docling,
        idefics2,
        llava_onevision,
        internvl,
    )
}

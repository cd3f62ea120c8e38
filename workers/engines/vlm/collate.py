"""Pages' tensors made small for the spool, and joined into the batch the processor itself would have made."""

from __future__ import annotations

from collections.abc import Sequence

import torch

Tensors = dict[str, torch.Tensor]

# Tensors as long as the prompt, and what fills them up; None is the padding token. int64 in a batch, int32 on the way.
PROMPT_FILL: dict[str, int | None] = {
    "input_ids": None,
    "decoder_input_ids": None,
    "attention_mask": 0,
    "image_embeds_position_mask": 0,
    "mm_token_type_ids": 0,
    "token_type_ids": 0,
}
# Families whose tiles have one size: they find tiles that are padding by their zeros and need no mask of ones.
MASK_OF_ONES_IS_SPARE = {"idefics3", "smolvlm"}
EXACT = {"flattened_patches"}  # holds row and column numbers beside the pixels; bfloat16 would round them
PATCH_PX = 16  # an image without a prompt counts one token for each square of this side


def shrink(tensors: Tensors, dtype: torch.dtype, *, model_type: str) -> Tensors:
    """The tensors of one page without what the batch does not need: masks of ones, wide integers, wide pixels."""
    small = {}
    for key, value in tensors.items():
        if key == "pixel_attention_mask":
            if model_type not in MASK_OF_ONES_IS_SPARE or not bool(value.all()):
                small[key] = value.to(torch.bool)
        elif value.is_floating_point():
            small[key] = value if key in EXACT else value.to(dtype)
        elif _is_prompt(key, value, tensors):
            if key != "attention_mask" or not bool(value.all()):
                small[key] = value.to(torch.int32)
        else:
            small[key] = value
    return {key: value.contiguous() for key, value in small.items()}


def count_tokens(tensors: Tensors) -> int:
    """How long the prompt with its image is, in tokens; for a model with an image encoder, the size of its image."""
    if "input_ids" in tensors:
        return int(tensors["input_ids"].shape[1])
    if "flattened_patches" in tensors:
        return int(tensors["flattened_patches"].shape[1])
    return int(tensors["pixel_values"].numel()) // (3 * PATCH_PX**2)


def collate(pages: Sequence[Tensors], *, pad_id: int, pad_left: bool) -> Tensors:
    """One batch of `pages` (each as `shrink` left it), equal to the processor's own batch of the same pages.

    Three kinds of tensor: prompts are padded to the longest; patches packed one image after another
    (`image_grid_thw`) are joined; images and tiles of several sizes are padded with zeros at the end of each side.
    """
    batch = {}
    for key in dict.fromkeys(key for page in pages for key in page):
        holder = next(page for page in pages if key in page)
        values = [page[key] for page in pages if key in page]
        if key == "attention_mask" and "input_ids" in holder:
            continue
        if _is_prompt(key, holder[key], holder):
            fill = PROMPT_FILL[key]
            batch[key] = _pad_prompts(values, pad_id if fill is None else fill, pad_left)
        elif key == "pixel_attention_mask":
            batch[key] = _join([_tile_mask(page) for page in pages])
        else:
            batch[key] = _join(values)
    if "input_ids" in batch:
        masks = [page.get("attention_mask", torch.ones_like(page["input_ids"])) for page in pages]
        batch["attention_mask"] = _pad_prompts(masks, 0, pad_left)
    return batch


def _is_prompt(key: str, value: torch.Tensor, page: Tensors) -> bool:
    if key not in PROMPT_FILL or value.ndim != 2:
        return False
    return key == "decoder_input_ids" or ("input_ids" in page and value.shape[1] == page["input_ids"].shape[1])


def _pad_prompts(prompts: Sequence[torch.Tensor], fill: int, pad_left: bool) -> torch.Tensor:
    longest = max(prompt.shape[1] for prompt in prompts)
    batch = prompts[0].new_full((len(prompts), longest), fill, dtype=torch.int64)  # [pages, tokens]
    for row, prompt in zip(batch, prompts, strict=True):
        length = prompt.shape[1]
        (row[longest - length :] if pad_left else row[:length]).copy_(prompt[0])
    return batch


def _tile_mask(page: Tensors) -> torch.Tensor:
    """The page's pixel mask, [1, tiles, height, width]; the one of ones that `shrink` dropped where it has none."""
    if "pixel_attention_mask" in page:
        return page["pixel_attention_mask"]
    pixels = page["pixel_values"]
    return pixels.new_ones((*pixels.shape[:2], *pixels.shape[-2:]), dtype=torch.bool)


def _join(values: Sequence[torch.Tensor]) -> torch.Tensor:
    """`values` after each other in the first dimension, the others padded with zeros to the largest."""
    if len({value.shape[1:] for value in values}) == 1:
        return torch.cat(list(values))
    sides = [max(value.shape[dim] for value in values) for dim in range(1, values[0].ndim)]
    joined = values[0].new_zeros((sum(value.shape[0] for value in values), *sides))
    start = 0
    for value in values:
        joined[(slice(start, start + value.shape[0]), *(slice(side) for side in value.shape[1:]))] = value
        start += value.shape[0]
    return joined

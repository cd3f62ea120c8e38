"""The `vlm` engine: any Hugging Face image-text-to-text checkpoint that transformers has a native class for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from traceback import clear_frames

import safetensors.torch
import torch
from PIL import Image

from workers.engines import Control, EngineError, Generation, ImageSpec, PageRequest, Prepared
from workers.engines.profiles import Profile, profile_of
from workers.engines.vlm.checkpoint import open_checkpoint
from workers.engines.vlm.collate import Tensors, collate, count_tokens, shrink
from workers.engines.vlm.decode import DecodeLoop
from workers.engines.vlm.model import (
    LoadedModel,
    current_device,
    device_errors,
    load_model,
    pixel_dtype,
    why_not_compiled,
)
from workers.engines.vlm.options import VlmOptions
from workers.engines.vlm.processor import PageProcessor
from workers.engines.vlm.rows import Rows
from workers.engines.vlm.stage import PartControl, Staged, group_by_decoder_prompt

logger = logging.getLogger(__name__)

MIN_LETTER = 5.0  # px; a line of 6 pt print on A4 at 1024 px


class VlmEngine:
    """Drives one checkpoint. Raises EngineError when made, naming why, where the checkpoint cannot be driven."""

    name = "vlm"
    stops_loops = True  # random weights may say the same for ever; benchmarks let them

    def __init__(self, options: VlmOptions) -> None:
        self.options = options
        self.checkpoint = open_checkpoint(options.model, options.model_revision)
        self.revision = self.checkpoint.identity
        self._profile = profile_of(options, self.checkpoint.model_type)
        self.image_spec = ImageSpec(factor=self._profile.factor, max_side=self._profile.max_side, min_letter=MIN_LETTER)
        self.max_batch = 8 if options.device == "cpu" else 32
        self._pixel_dtype = pixel_dtype(self.checkpoint, options)
        self._lock = threading.Lock()
        self._processor: PageProcessor | None = None
        self._loaded: LoadedModel | None = None
        self._staged: deque[Staged] = deque(maxlen=2)
        self._graphs = "not tried yet"
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")

    @property
    def processor(self) -> PageProcessor:
        """The checkpoint's processor, built at its first use; needs no weights."""
        with self._lock:
            if self._processor is None:
                self._processor = PageProcessor(self.checkpoint, self.options.prompt_style, self._profile)
            return self._processor

    @property
    def profile(self) -> Profile:
        """What the checkpoint is asked and how it answers; its tokenizer may tell more of that than its name."""
        return self.processor.profile

    def prepare(self, image: Image.Image, request: PageRequest) -> Prepared:
        """CPU side: resize, normalise, chat template and tokenizer; the image itself is not kept."""
        try:
            made = self.processor(image, request.prompt)
        except (IndexError, TypeError, ValueError) as exc:
            raise EngineError(f"the processor of {self.checkpoint.name} refused the page: {exc}") from exc
        tensors = shrink(made, self._pixel_dtype, model_type=self.checkpoint.model_type)
        return Prepared(request=request, tensors=tensors, num_tokens=count_tokens(tensors))

    def pack(self, prepared: Prepared) -> bytes | None:
        """The page's tensors as a safetensors file."""
        return safetensors.torch.save(prepared.tensors) if prepared.tensors is not None else None

    def unpack(self, data: bytes, request: PageRequest) -> Prepared:
        tensors = safetensors.torch.load(data)
        return Prepared(request=request, tensors=tensors, num_tokens=count_tokens(tensors))

    def load(self) -> None:
        self._loaded = load_model(self.checkpoint, self.options, self.processor.tokenizer)
        reason = why_not_compiled(self._loaded.model, self.options)
        self._graphs = f"off: {reason}" if reason else "not tried yet"

    def report(self) -> dict[str, str]:
        """Whether decode steps run as CUDA graphs, and why not."""
        return {"graphs": self._graphs}

    def close(self) -> None:
        self._loaded = None
        self._staged.clear()
        self._decoder.shutdown()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def stage(self, batch: Sequence[Prepared]) -> None:
        """Collate `batch` and copy it to the device, from another thread, while `generate` runs on the one before.

        The `generate` of the same Prepared objects finds it there. At most two batches wait; older ones are dropped.
        """
        torch.set_num_threads(1)  # of this thread: two OpenMP teams on the same cores slow each other at every step
        with device_errors(self.checkpoint.name), current_device(self._require_model().device):
            self._staged.append(self._upload(batch))

    def generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        """One Generation a page, in the order of `batch`; pages whose prompts cannot share a batch run in turn."""
        groups = group_by_decoder_prompt([page.tensors or {} for page in batch])
        results: dict[int, Generation] = {}
        for indexes in groups:
            pages = [batch[index] for index in indexes] if len(groups) > 1 else batch
            part = PartControl(control, indexes) if len(groups) > 1 else control
            results |= zip(indexes, self._generate(pages, part), strict=True)
        return [results[index] for index in range(len(batch))]

    def _generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        loaded = self._require_model()
        with device_errors(self.checkpoint.name), current_device(loaded.device):
            staged = self._take_staged(batch) or self._upload(batch)
            rows = self._run_either_way(loaded, staged, control)
        return rows.generations(len(batch))

    def _run_either_way(self, loaded: LoadedModel, staged: Staged, control: Control) -> Rows:
        """With CUDA graphs if they are on; what can be generated without them only is so from then on.

        Compilers may raise anything.
        """
        if not loaded.has_static_cache:
            return self._run(loaded, staged, control)
        try:
            rows = self._run(loaded, staged, control)
        except (EngineError, torch.OutOfMemoryError, torch.AcceleratorError):
            raise
        except Exception as exc:
            graphs = f"off: {type(exc).__name__}: {next(iter(str(exc).strip().splitlines()), '')}"
            clear_frames(exc.__traceback__)  # they hold a cache
        else:
            self._graphs = "on"
            return rows
        plain = replace(loaded, has_static_cache=False, forward=loaded.model.__call__)
        rows = self._run(plain, staged, control)
        logger.warning("%s goes on without CUDA graphs, which are %s", self.checkpoint.name, graphs)
        self._loaded, self._graphs = plain, graphs
        return rows

    def _take_staged(self, batch: Sequence[Prepared]) -> Staged | None:
        found = next((staged for staged in self._staged.copy() if staged.is_for(batch)), None)
        if found is not None:
            with suppress(ValueError):  # `stage` has just dropped it for a newer one; it is as good as before
                self._staged.remove(found)
        return found

    def _require_model(self) -> LoadedModel:
        if self._loaded is None:
            raise EngineError("the model is not loaded; call load() in the process that generates")
        return self._loaded

    def _upload(self, batch: Sequence[Prepared]) -> Staged:
        loaded = self._require_model()
        pages = [self._tensors(page) for page in batch]
        if loaded.has_static_cache:  # one compiled graph serves each power of two
            pages += [pages[-1]] * ((1 << (len(pages) - 1).bit_length()) - len(pages))
        is_encoder_decoder = self.checkpoint.is_encoder_decoder
        inputs = collate(pages, pad_id=loaded.pad_id, pad_left=not is_encoder_decoder)
        return Staged.copy(batch, len(pages), inputs, loaded)

    def _tensors(self, page: Prepared) -> Tensors:
        if page.tensors is not None:
            return page.tensors
        if page.image is None:
            raise EngineError(f"page {page.request.page_number} has neither tensors nor an image")
        return self._tensors(self.prepare(page.image, page.request))

    def _run(self, loaded: LoadedModel, staged: Staged, control: Control) -> Rows:
        requests = [page.request for page in staged.batch]
        spare = staged.num_rows - len(requests)
        limits = [min(request.max_new_tokens, self._room(loaded, staged)) for request in requests]
        rows = Rows(
            [*limits, *[0] * spare],
            loaded.eos_ids,
            control,
            self.processor.decode,
            self._decoder,
            stops_loops=self.stops_loops,
        )
        temperatures = [*[request.temperature for request in requests], *[0.0] * spare]
        loop = DecodeLoop(rows, temperatures, warpers=loaded.warpers, forward=loaded.forward)
        arguments = loaded.generation_arguments(staged.prompt_tokens, max(limits))
        loaded.model.generate(**staged.ready_inputs(), custom_generate=loop, **arguments)
        return rows

    def _room(self, loaded: LoadedModel, staged: Staged) -> int:
        """Tokens an answer can have before the model's positions end."""
        if loaded.context_tokens is None:
            return 1 << 30
        room = loaded.context_tokens - staged.prompt_tokens
        if room < 1:
            raise EngineError(
                f"a page's prompt has {staged.prompt_tokens} tokens, {self.checkpoint.name} takes "
                f"{loaded.context_tokens}; lower VLM_MAX_DIMENSION"
            )
        return room

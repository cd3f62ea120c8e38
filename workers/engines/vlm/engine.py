"""The `vlm` engine: any Hugging Face image-text-to-text checkpoint that transformers has a native class for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

import safetensors.torch
import torch
from PIL import Image

from workers.engines import (
    Control,
    EngineBroken,
    EngineError,
    Generation,
    OutOfMemory,
    PageRequest,
    Prepared,
)
from workers.engines.profiles import Profile, profile_of
from workers.engines.vlm.checkpoint import open_named
from workers.engines.vlm.collate import Tensors, collate, count_tokens, shrink
from workers.engines.vlm.decode import DecodeLoop
from workers.engines.vlm.graphs import Graphs
from workers.engines.vlm.model import (
    LoadedModel,
    current_device,
    device_errors,
    load_model,
    pixel_dtype,
)
from workers.engines.vlm.options import VlmOptions
from workers.engines.vlm.processor import PageProcessor
from workers.engines.vlm.refill import AT_ONCE, Refill
from workers.engines.vlm.rows import Row, Watch
from workers.engines.vlm.seats import Joined
from workers.engines.vlm.stage import PartControl, Staged, group_by_decoder_prompt

logger = logging.getLogger(__name__)

MOST_ON_CPU, MOST_ON_GPU = 8, 64  # pages at once, beyond which a page more gains nothing
MIN_LETTER = 5.0  # px; a line of 6 pt print on A4 at 1024 px
WARM_TOKENS = 8192  # of a prompt and its answer; a step for longer ones is recorded when the first of them comes
BLANK_PX = 128  # side of the page that is read when the model is loaded


class VlmEngine:
    """Drives one checkpoint. Raises EngineError when made, naming why, where the checkpoint cannot be driven."""

    name = "vlm"
    stops_loops = True  # random weights may say the same for ever; benchmarks let them

    def __init__(self, options: VlmOptions) -> None:
        self.options = options
        self.checkpoint = open_named(options)
        self.revision = self.checkpoint.identity
        self._profile = profile_of(options, self.checkpoint.model_type)
        self.image_spec = self._profile.spec(MIN_LETTER)
        self.max_batch = max(1, min(options.batch_pages, MOST_ON_CPU if options.device == "cpu" else MOST_ON_GPU))
        self._pixel_dtype = pixel_dtype(self.checkpoint, options)
        self._lock = threading.Lock()
        self._processor: PageProcessor | None = None
        self._loaded: LoadedModel | None = None
        self._staged: deque[Staged] = deque(maxlen=2)
        self._refill: Refill | None = None
        self._refill_is = "off: the model is not loaded"
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
            made = self.processor(self.profile.view(image, request), request.prompt)
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
        self._loaded = self._load_weights()
        self._watch = Watch(self._loaded.eos_ids, self.processor.decode, self._decoder, stops_loops=self.stops_loops)
        if self.checkpoint.is_encoder_decoder or not self.options.refill:
            self._refill_is = "off: pages are read in batches"
        else:
            self._try_refill(self._loaded)

    def _load_weights(self) -> LoadedModel:
        return load_model(self.checkpoint, self.options, self.processor.tokenizer)

    def _try_refill(self, loaded: LoadedModel) -> None:
        """Read a small blank page, to know whether pages of this model can join others that are half done."""
        graphs = Graphs() if loaded.device.type == "cuda" and self.options.cuda_graphs else None
        self._refill = Refill(loaded, self._watch, self.checkpoint.name, self.max_batch, graphs)
        blank = Image.new("RGB", (BLANK_PX, BLANK_PX), "white")
        try:
            self.generate([self.prepare(blank, PageRequest(page_number=1, max_new_tokens=3))], Control())
        except (EngineBroken, OutOfMemory):
            raise
        except EngineError as exc:
            self._refill.close()
            self._refill, self._refill_is = None, f"off: {exc}"
            logger.warning("%s reads pages in batches that none can join: %s", self.checkpoint.name, exc)
            return
        self._refill_is = "on"
        if loaded.device.type == "cuda":
            self._refill.warm(WARM_TOKENS)
            self.max_batch = self._refill.most

    @property
    def num_slots(self) -> int:
        """Pages that run, and on a GPU a few that are there before the next one ends."""
        most = self._refill.most if self._refill else 0
        return most + (most // AT_ONCE if self._refill and self._refill.loaded.device.type != "cpu" else 0)

    def report(self) -> dict[str, str]:
        """Whether pages join a batch that runs, whether its steps are CUDA graphs, and why not."""
        return {"refill": self._refill_is, "graphs": self._graphs_are()}

    def _graphs_are(self) -> str:
        if self._refill and self._refill.graphs is not None:
            why_off = self._refill.graphs.why_off
            return f"off: {why_off}" if why_off else "on"
        if self._loaded and self._loaded.device.type == "cuda" and not self.options.cuda_graphs:
            return "off: they are switched off"
        return f"off: {'pages are read in batches' if torch.cuda.is_available() else 'there is no GPU'}"

    def close(self) -> None:
        if self._refill:
            self._refill.close()
            self._refill = None
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
        """One Generation a page, in the order of `batch`.

        Where pages join a running batch, several threads may call this. Else pages whose prompts cannot share a batch
        run in turn.
        """
        if self._refill:
            return self._by_slots(self._refill, batch, control)
        groups = group_by_decoder_prompt([page.tensors or {} for page in batch])
        results: dict[int, Generation] = {}
        for indexes in groups:
            pages = [batch[index] for index in indexes] if len(groups) > 1 else batch
            part = PartControl(control, indexes) if len(groups) > 1 else control
            results |= zip(indexes, self._generate(pages, part), strict=True)
        return [results[index] for index in range(len(batch))]

    def _by_slots(self, refill: Refill, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        loaded = refill.loaded
        pages = []
        with device_errors(self.checkpoint.name), current_device(loaded.device):
            for index, page in enumerate(batch):
                staged = self._upload([page])
                row = self._watch.begin(control, index, self._limit(loaded, staged, page.request))
                pages.append(Joined(row=row, staged=staged, temperature=page.request.temperature))
        refill.submit([page for page in pages if not page.row.stop])
        wait([page.row.outcome for page in pages])
        return [page.row.outcome.result() for page in pages]

    def _generate(self, batch: Sequence[Prepared], control: Control) -> list[Generation]:
        loaded = self._require_model()
        with device_errors(self.checkpoint.name), current_device(loaded.device):
            rows = self._run(loaded, self._take_staged(batch) or self._upload(batch), control)
        return [row.outcome.result() for row in rows]

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
        is_encoder_decoder = self.checkpoint.is_encoder_decoder
        inputs = collate(pages, pad_id=loaded.pad_id, pad_left=not is_encoder_decoder)
        return Staged.copy(batch, inputs, loaded)

    def _tensors(self, page: Prepared) -> Tensors:
        if page.tensors is not None:
            return page.tensors
        if page.image is None:
            raise EngineError(f"page {page.request.page_number} has neither tensors nor an image")
        return self._tensors(self.prepare(page.image, page.request))

    def _run(self, loaded: LoadedModel, staged: Staged, control: Control) -> list[Row]:
        requests = [page.request for page in staged.batch]
        limits = [self._limit(loaded, staged, request) for request in requests]
        rows = [self._watch.begin(control, index, limit) for index, limit in enumerate(limits)]
        loop = DecodeLoop(self._watch, rows, [request.temperature for request in requests], warpers=loaded.warpers)
        loaded.model.generate(**staged.ready_inputs(), custom_generate=loop, max_new_tokens=max(limits))
        return rows

    def _limit(self, loaded: LoadedModel, staged: Staged, request: PageRequest) -> int:
        """Tokens an answer can have before the model's positions end."""
        if loaded.context_tokens is None:
            return request.max_new_tokens
        room = loaded.context_tokens - staged.prompt_tokens
        if room < 1:
            raise EngineError(
                f"a page's prompt has {staged.prompt_tokens} tokens, {self.checkpoint.name} takes "
                f"{loaded.context_tokens}; lower VLM_MAX_DIMENSION"
            )
        return min(request.max_new_tokens, room)

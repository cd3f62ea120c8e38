"""What each process of the local stack is started with: its command line and its environment."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tasks.lanes import GPU, queue_of
from tasks.settings import Settings
from web.stack.redis_server import free_port
from workers.processes import num_cores, num_gpus

logger = logging.getLogger(__name__)

CORES_PER_OCR = 8  # the part of a page that holds Python's lock is a tenth: more threads of one process wait for it


class StackError(Exception):
    """The local stack could not start."""


def read_procfile() -> dict[str, str]:
    """The command line of each kind of process, as a shell reads it."""
    lines = Path(__file__).with_name("Procfile").read_text().splitlines()
    pairs = (line.partition(":") for line in lines if line.strip() and not line.startswith("#"))
    return {kind.strip(): command.strip() for kind, _, command in pairs}


def commands_of(settings: Settings) -> dict[str, str]:
    """The command lines of all kinds of process, with a `gpu-NAME` for each engine of OTHER_ENGINES."""
    commands = read_procfile()
    others = map(queue_of, settings.other_engine_names())
    return commands | {queue: commands[GPU].replace(f"--queues {GPU}", f"--queues {queue}") for queue in others}


def kind_of(name: str) -> str:
    """What a process of the stack is: `gpu` for `gpu`, `gpu2` and `gpu-tesseract`."""
    return name.partition("-")[0].rstrip("0123456789")


def is_engine(kind: str) -> bool:
    """Whether a process of this kind has an engine; a second one of the kind is no kind of its own."""
    return kind_of(kind) == GPU


def child_env(environ: Mapping[str, str], settings: Settings, data_dir: Path) -> dict[str, str]:
    """What all processes get: what the user set, and what Pagefan sets where they did not."""
    given = {key: value for key, value in environ.items() if value}  # Flower takes "" for a login
    own = {
        "ORT_DISABLE_TELEMETRY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}",
        "DATA_DIR": str(data_dir),
    }
    num_renders = settings.render_processes or num_cores()
    defaults = {
        "BLOB_URL": f"file://{data_dir}/blobs",
        "CPU_CONCURRENCY": str(num_renders + 2),  # split and assemble while all renders are busy
    }
    return defaults | given | own


def num_gpu_workers(settings: Settings) -> int:
    """As many as are wanted; else one, and for `ocr` one for each CORES_PER_OCR cores or part of them."""
    if settings.gpu_workers:
        return settings.gpu_workers
    is_ocr = settings.engine == "ocr" or (settings.engine == "auto" and not (settings.model and num_gpus()))
    return -(-num_cores() // CORES_PER_OCR) if is_ocr else 1


def gpu_share(number: int, workers: int, env: Mapping[str, str], *, may_use_gpu: bool) -> dict[str, str]:
    """What the GPU worker of this number, from 1, gets of the machine: a GPU, in turn, and its part of the cores."""
    if workers < 2:
        return {}
    threads = str(max(1, num_cores() // workers))
    share = {key: env.get(key, threads) for key in ("OMP_NUM_THREADS", "OCR_THREADS", "TESSERACT_PROCESSES")}
    gpus = env.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(num_gpus())))).split(",")
    if gpus[0] and may_use_gpu:
        share["CUDA_VISIBLE_DEVICES"] = gpus[(number - 1) % len(gpus)]
    return share


def listeners(settings: Settings) -> dict[str, tuple[str, str, int]]:
    """By the process that listens: the variable of its port, its address, and the port that is wanted."""
    return {
        "web": ("WEB_PORT", settings.web_host, settings.web_port),
        "flower": ("FLOWER_PORT", "127.0.0.1", settings.flower_port),
    }


def choose_ports(settings: Settings, given: Mapping[str, str], *, has_flower: bool) -> dict[str, str]:
    """The ports of the defaults, or free ones in their place; one that was `given` is had.

    Raises StackError where it cannot be: scripts would talk to whoever listens there.
    """
    chosen = {}
    for name, (key, host, wanted) in listeners(settings).items():
        if name != "flower" or has_flower:
            port = free_port(host, wanted)
            if wanted and port != wanted:
                if key in given:
                    raise StackError(f"{key}={wanted} is taken by another program; set another port, or 0 for any")
                logger.warning("%s=%d is taken; using %d", key, wanted, port)
            chosen[key] = str(port)
    return chosen


def port_taken(name: str, settings: Settings, env: Mapping[str, str]) -> str:
    """The chosen port of a process that does not run, where another program listens there by now; else empty."""
    if name not in listeners(settings):
        return ""
    key, host, _ = listeners(settings)[name]
    port = int(env.get(key, 0))
    return f"{key}={port}" if port and free_port(host, port) != port else ""

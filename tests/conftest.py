"""Fixtures that several test files share: the corpus, a browser, and a real stack in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read by onnxruntime and pymupdf when they are imported
os.environ["OMP_NUM_THREADS"] = "1"  # testers share the cores: threads of torch would spin for one another

import psutil
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from web_service import PDF, WebService, served, web_service

from tasks.settings import known_settings
from web.stack.stack import Stack

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
WAITING = ("test_recovery.py", "test_web_schemathesis.py")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

StartStack = Callable[..., Stack]


@pytest.fixture(autouse=True)
def image_limit() -> Iterator[None]:
    """Readers of documents set Pillow's limit for their whole process, which here is that of all tests."""
    before = Image.MAX_IMAGE_PIXELS
    yield
    Image.MAX_IMAGE_PIXELS = before


@pytest.fixture(autouse=True)
def own_notes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `pagefan` notes of the files it wrote stays out of the home of who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real and hostile documents, which lies beside the repository where it is there at all."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")
    return CORPUS


@pytest.fixture(scope="session")
def sample_pdf() -> Path:
    return Path(__file__).parent / "data" / "sample.pdf"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is, for Playwright's `executable_path`."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Not for the whole session: while it runs, the main thread has an event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that wait longest go first, so that the other testers do the rest meanwhile."""
    items.sort(key=lambda item: item.path.name not in WAITING)


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; an orphan that init has not reaped yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def plain_env(**settings: object) -> dict[str, str]:
    """This environment without the user's Pagefan settings, and with `settings` given in small letters."""
    names = set(map(str.upper, known_settings()))
    env = {key: value for key, value in os.environ.items() if key not in names}
    return env | {key.upper(): str(value) for key, value in settings.items()}


@contextmanager
def hearing_ctrl_c() -> Iterator[None]:
    """Programs started in here end at Ctrl-C, also where the tests run in the background and are deaf to it.

    A shell starts background jobs with SIGINT ignored, and what they start inherits that. A handler is not inherited.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def open_stack(folder: Path, counts: Mapping[str, int], **settings: object) -> Stack:
    wanted = {"web": 1, "cpu": 1, "gpu": 1, "beat": 1} | dict(counts)
    quick: dict[str, object] = {"engine": "echo", "render_processes": 1, "web_port": 0, "flower_port": 0}
    quick["page_cache_mb"] = 0  # an equal page is generated again, for tests that count generations
    return Stack(plain_env(**quick | settings), folder, counts=wanted)


@pytest.fixture(scope="module")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartStack]:
    """A function that starts a real stack on free ports in a folder of its own; all end with the test file.

    `start_stack(counts={"cpu": 4}, echo_jitter_s=0.2)` takes settings by name. The engine is `echo` where
    nothing else is said, with one render process a worker and no page cache. Flower is left out unless
    `counts` and `flower_port` ask for it.
    """
    with ExitStack() as stacks:

        def start(*, counts: Mapping[str, int] | None = None, **settings: object) -> Stack:
            return stacks.enter_context(open_stack(tmp_path_factory.mktemp("stack"), counts or {}, **settings))

        yield start


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis without anything else; a test that wants it empty empties it."""
    with Stack(plain_env(), tmp_path_factory.mktemp("redis"), counts={}) as stack:
        yield stack.redis_url


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Redis, web, one worker a queue and beat, shared by the tests; leave it as healthy as you found it."""
    with open_stack(tmp_path_factory.mktemp("stack"), {}) as stack:
        yield stack


@pytest.fixture
def web(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
    """The web application alone; a module that wants it with other settings has a fixture of this name itself."""
    with web_service(redis_url, tmp_path, monkeypatch) as service:
        yield service


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here: messages would only lie in their queues."""
    monkeypatch.setattr("celery.app.task.Task.apply_async", lambda *_, **__: None)
    monkeypatch.setattr("celery.canvas._chain.apply_async", lambda *_, **__: None)


@pytest.fixture
def url(web: WebService) -> Iterator[str]:
    """Where the web application answers on a real socket."""
    with served(web) as address:
        yield address


@pytest.fixture
def view(browser: Browser, url: str) -> Iterator[Page]:
    """A page of a browser; the test fails if anything goes wrong in its console, or if it asks another site."""
    context = browser.new_context(
        base_url=url, permissions=["clipboard-read", "clipboard-write"], reduced_motion="reduce"
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: complaints.append(request.url) if not request.url.startswith(url) else None)
    yield page
    assert not complaints
    context.close()


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(PDF)
    return path

"""Settings: defaults, bad values, the files made from them, and that nothing else reads the environment."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.settings import Known, Settings, SettingsError, known_settings, load_settings
from tools.settings_table import updated_files
from workers.engines.ocr.options import OcrOptions
from workers.engines.openai.options import OpenAIOptions
from workers.engines.options import declared
from workers.engines.registry import ENGINES, options_of

ROOT = Path(__file__).parents[1]
MAY_READ_ENVIRONMENT = {
    "tasks/settings.py": "the one place where settings are read",
    "tasks/marks.py": "what a worker tells its own children, no setting",
    "web/cli/parser.py": "a client has no settings but where its server is: PAGEFAN_URL and PAGEFAN_API_KEY",
    "web/stack/flower.py": "Flower reads its settings from the environment alone, so they are put there",
    "web/cli/written.py": "XDG_STATE_HOME is of the whole desktop: where programs keep their notes",
    "web/cli/local.py": "hands its environment, with addresses filled in, to the processes it starts",
}


def test_empty_environment_gives_the_defaults() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert settings.engine_options("openai") == OpenAIOptions()
    assert settings.vlm_concurrent_timeout == 300
    assert settings.vlm_retry_count == 2


def test_values_are_read_in_the_type_of_their_default() -> None:
    settings = load_settings({"ENGINE": "echo", "GPU_BATCH_PAGES": "4", "RENDER_TIMEOUT_S": "2.5", "MODEL": "x"})
    assert (settings.engine, settings.gpu_batch_pages, settings.render_timeout_s) == ("echo", 4, 2.5)
    assert settings.model == "x"


def test_an_empty_value_is_no_value() -> None:
    assert load_settings({"WEB_PORT": "", "MODEL": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_PORT", "eighty"),
        ("WEB_PORT", "8000.5"),
        ("MAX_PAGES", "-1"),
        ("RENDER_TIMEOUT_S", "soon"),
        ("RENDER_TIMEOUT_S", "-0.1"),
        ("RENDER_TIMEOUT_S", "nan"),
        ("VISIBILITY_TIMEOUT_S", "inf"),
        ("ENGINE", "abacus"),
        ("TEXT_LAYER", "perhaps"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_key_and_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name}={re.escape(repr(value))}"):
        load_settings({name: value})


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_is_told_its_own_defaults_where_nothing_is_set(name: str) -> None:
    options = Settings().engine_options(name)
    assert options == options_of(name)()
    assert pickle.loads(pickle.dumps(options)) == options
    assert hash(options) == hash(options_of(name)())


def test_engines_that_share_a_setting_say_the_same_of_it() -> None:
    said: dict[str, set[tuple[object, str]]] = {}
    for option in (option for engine in ENGINES for option in declared(options_of(engine)) if option.setting):
        said.setdefault(option.setting, set()).add((option.default, option.help))
    assert {name for name, ways in said.items() if len(ways) > 1} == set()


def test_settings_reach_the_options_of_the_engine_they_are_for() -> None:
    environ = {"OCR_THREADS": "3", "MODEL": "m", "VLM_MAX_DIMENSION": "896", "VLM_RETRY_COUNT": "5"}
    settings = load_settings(environ)
    assert settings.engine_options("ocr") == OcrOptions(threads=3)
    assert settings.engine_options("openai") == OpenAIOptions(model="m", max_dimension=896, retry_count=5)


@pytest.mark.parametrize("spec", known_settings().values(), ids=lambda spec: spec.name)
def test_each_setting_has_a_unit_and_one_sentence(spec: Known) -> None:
    assert spec.unit
    assert spec.help.endswith(".")


@pytest.mark.parametrize("name", ["README.md", "docker-compose.yml"])
def test_tables_made_from_settings_are_in_step(name: str) -> None:
    path = ROOT / name
    assert path.read_text() == updated_files()[path], "run `make readme`"


def environment_reads(path: Path) -> Iterator[int]:
    """Lines that touch os.environ, os.getenv and their like, other than to switch off telemetry."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    source = path.read_text()
    lines = ["", *source.splitlines()]  # line numbers count from 1
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            is_read = node.attr in names and getattr(node.value, "id", "") == "os"
        elif isinstance(node, ast.ImportFrom):
            is_read = node.module == "os" and bool(names & {item.name for item in node.names})
        else:
            continue
        if is_read and "ORT_DISABLE_TELEMETRY" not in lines[node.lineno]:
            yield node.lineno


def test_only_settings_read_the_environment() -> None:
    found = [
        f"{name}:{line}"
        for package in ("web", "tasks", "workers")
        for path in sorted((ROOT / package).rglob("*.py"))
        if (name := path.relative_to(ROOT).as_posix()) not in MAY_READ_ENVIRONMENT
        for line in environment_reads(path)
    ]
    assert not found

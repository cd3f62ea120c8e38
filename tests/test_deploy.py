"""The files that start Pagefan agree with each other and with the code; no container engine is needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from celery.bin.celery import celery as celery_command
from click.testing import CliRunner
from conftest import plain_env
from flower.options import default_options
from packaging.requirements import Requirement

from tasks.engine_choice import idle_gpu_advice
from tasks.settings import known_settings, load_settings
from tools.settings_table import default_text
from web.stack.environ import read_procfile

ROOT = Path(__file__).parents[1]
DEFAULTS = {spec.name.upper(): default_text(spec) for spec in known_settings().values()}
START_ONLY = {"DATA_DIR": "data", "PROCESS_NAME": None, "CPU_CONCURRENCY": "6", "FLOWER_ADDRESS": "127.0.0.1"}
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
STAGES = ("web", "cpu", "gpu")


class ComposeLoader(yaml.SafeLoader):
    """YAML with Compose's `!reset`, which takes a value away."""


def construct_nothing(_loader: yaml.SafeLoader, _node: yaml.Node) -> None:
    return None


ComposeLoader.add_constructor("!reset", construct_nothing)


def compose_text(name: str = "docker-compose.yml") -> str:
    return (ROOT / name).read_text()


def load_compose(name: str = "docker-compose.yml", **env: str) -> dict[str, Any]:
    """The file as Compose reads it, with `env` as the user's environment."""
    filled = VARIABLE.sub(lambda match: env.get(match[1]) or match[2] or "", compose_text(name))
    loaded: dict[str, Any] = yaml.load(filled.replace("$$", "$"), Loader=ComposeLoader)
    return loaded


def docker_stages() -> dict[str, list[tuple[str, str]]]:
    """Instructions of each stage of the Dockerfile, as (keyword, rest)."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    stages: dict[str, list[tuple[str, str]]] = {"": []}
    name = ""
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        keyword, _, rest = line.strip().partition(" ")
        if keyword == "FROM":
            name = rest.rpartition(" AS ")[2]
            stages[name] = []
        stages[name].append((keyword, rest.strip()))
    return stages


def words(command: str, **env: str) -> list[str]:
    """The command as a shell splits it, with only `env` set."""
    script = f"for word in {command}; do printf '%s\\n' \"$word\"; done"
    run = subprocess.run(["/bin/sh", "-c", script], env=env, capture_output=True, text=True, check=True)
    return run.stdout.splitlines()


def celery_commands() -> dict[str, list[str]]:
    split = {kind: words(command) for kind, command in read_procfile().items()}
    return {kind: command for kind, command in split.items() if command[0] == "celery"}


@pytest.mark.parametrize("kind", list(read_procfile()))
def test_executable_of_each_process_is_installed(kind: str) -> None:
    executable = words(read_procfile()[kind])[0]
    assert shutil.which(executable, path=str(Path(sys.executable).parent))


@pytest.mark.parametrize("kind", list(celery_commands()))
def test_celery_knows_every_option(kind: str) -> None:
    result = CliRunner().invoke(celery_command, [*celery_commands()[kind][3:], "--help"])
    assert result.exit_code == 0, result.output


def test_flower_knows_every_option() -> None:
    for option in words(read_procfile()["flower"])[3:]:
        assert option.removeprefix("--").partition("=")[0].replace("-", "_") in default_options


def test_celery_application_has_the_queues_that_workers_serve() -> None:
    targets = {split[split.index("-A") + 1] for split in celery_commands().values()}
    served = {split[split.index("--queues") + 1] for split in celery_commands().values() if "--queues" in split}
    assert targets == {"tasks.app"}
    script = "from tasks.app import app; import sys; sys.stdout.write(','.join(sorted(app.amqp.queues)))"
    run = subprocess.run([sys.executable, "-c", script], env=plain_env(), capture_output=True, text=True, check=True)
    assert set(run.stdout.split(",")) == served == {"cpu", "gpu"}


def test_gunicorn_takes_its_command_and_finds_the_application() -> None:
    split = words(read_procfile()["web"])
    command = [str(Path(sys.executable).with_name(split[0])), "--check-config", *split[1:]]
    run = subprocess.run(command, env=plain_env(), cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_a_gpu_worker_runs_one_process_everywhere() -> None:
    gpu_commands = [
        words(read_procfile()["gpu"]),
        load_compose()["services"]["gpu-worker"]["command"],
        words(json.loads(dict(docker_stages()["gpu"])["CMD"])[2]),
    ]
    for split in gpu_commands:
        assert split[split.index("--concurrency") + 1] == "1"
        assert split[split.index("--pool") + 1] == "prefork"


@pytest.mark.parametrize("kind", STAGES)
def test_image_runs_what_the_procfile_says(kind: str) -> None:
    shell, flag, command = json.loads(dict(docker_stages()[kind])["CMD"])
    assert (shell, flag) == ("sh", "-c")
    assert command == f"exec {read_procfile()[kind]}"


@pytest.mark.parametrize(
    ("kind", "service"),
    [("cpu", "cpu-worker"), ("gpu", "gpu-worker"), ("beat", "beat"), ("flower", "flower")],
)
def test_compose_runs_what_the_procfile_says(kind: str, service: str) -> None:
    command = load_compose()["services"][service]["command"]
    if command[:2] == ["sh", "-c"]:
        command = words(command[2].partition("exec ")[2])
    assert [str(word) for word in command] == words(read_procfile()[kind], DATA_DIR="/data", FLOWER_ADDRESS="0.0.0.0")


def test_compose_is_whole() -> None:
    compose = load_compose()
    assert set(compose["services"]) == {"redis", "web", "cpu-worker", "gpu-worker", "beat", "flower", "vllm"}
    built = {service["image"] for service in compose["services"].values() if "build" in service}
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        assert service["image"].startswith(("redis:", "vllm/vllm-openai:")) or service["image"] in built, name
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in compose["volumes"]
        if "build" in service:
            assert service["build"]["target"] in docker_stages()


def test_logs_of_no_container_grow_without_end() -> None:
    for service in load_compose()["services"].values():
        assert service["logging"]["driver"] == "json-file"
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_services_share_one_volume_and_wait_for_a_healthy_redis() -> None:
    services = load_compose()["services"]
    healthcheck, command = services["redis"]["healthcheck"], services["redis"]["command"]
    assert "redis-cli ping" in healthcheck["test"][1]
    assert command[command.index("--appendonly") + 1] == "yes"
    for name, service in services.items():
        if name not in ("redis", "vllm"):
            wanted = {"cpu-worker": ["hub:/hub"], "gpu-worker": ["hub:/hub", "cache:/cache"]}
            assert service["volumes"] == ["data:/data", *wanted.get(name, [])]
            assert service["depends_on"]["redis"]["condition"] == "service_healthy"


def test_gpu_worker_and_model_server_reserve_a_gpu_and_the_cpu_override_does_not() -> None:
    reserving = {
        name: service["deploy"]["resources"]["reservations"]["devices"]
        for name, service in load_compose()["services"].items()
        if "deploy" in service
    }
    gpu = [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert reserving == {"gpu-worker": gpu, "vllm": gpu}
    override = load_compose("compose.cpu.yaml")["services"]["gpu-worker"]
    assert override["deploy"] is None
    assert override["build"]["target"] == "cpu"
    assert override["environment"]["ENGINE"] == "ocr"


@pytest.mark.parametrize("name", ["cpu-worker", "gpu-worker"])
def test_models_of_the_hub_outlive_containers_and_its_token_reaches_who_loads_them(name: str) -> None:
    service = load_compose(HF_TOKEN="hf_secret")["services"][name]
    assert service["environment"]["HF_TOKEN"] == "hf_secret"
    home = service["environment"]["HF_HOME"]
    assert f"hub:{home}" in service["volumes"]
    stages = docker_stages()
    assert any(kind == "RUN" and f"pagefan /data {home}" in rest for kind, rest in stages["base"])
    shared = load_compose(HF_HOME="/srv/models")["services"][name]
    assert f"/srv/models:{home}" in shared["volumes"]
    assert shared["environment"]["HF_HOME"] == home, "a folder of the host is another one in the container"


def test_hub_token_reaches_no_other_process() -> None:
    services = load_compose(HF_TOKEN="hf_secret")["services"]
    holders = {name for name, service in services.items() if "HF_TOKEN" in service["environment"]}
    assert holders == {"cpu-worker", "gpu-worker", "vllm"}


@pytest.mark.parametrize(
    ("named", "gpus", "words"),
    [
        ({"engine": "ocr"}, 1, "set ENGINE=vlm and MODEL"),
        ({"engine": "auto"}, 1, "engine ocr reads on the CPU"),
        ({"engine": "auto", "model": "a/b"}, 1, ""),
        ({"engine": "openai"}, 1, ""),
        ({"engine": "ocr", "device": "cpu"}, 1, ""),
        ({"engine": "ocr"}, 0, ""),
    ],
)
def test_start_says_what_to_set_where_a_gpu_would_stay_idle(
    named: dict[str, str], gpus: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.engine_choice.num_gpus", lambda: gpus)
    advice = idle_gpu_advice(load_settings({key.upper(): value for key, value in named.items()}))
    assert words in advice
    assert bool(advice) == bool(words)


def test_compose_says_how_a_gpu_is_used() -> None:
    comment = compose_text().partition("x-settings")[0]
    assert "ENGINE=vlm MODEL=" in comment
    override = load_compose("compose.cpu.yaml")["services"]["gpu-worker"]
    assert override["environment"]["DEVICE"] == "cpu", "so that no advice is given there"


def test_vllm_profile_serves_the_model_on_the_gpu() -> None:
    service = load_compose()["services"]["vllm"]
    assert service["profiles"] == ["vllm"]
    assert "--model ${MODEL:-}" in compose_text()
    assert "http://vllm:8000/v1" in compose_text().partition("x-settings")[0]


@pytest.mark.parametrize("name", ["docker-compose.yml", "compose.cpu.yaml"])
def test_every_compose_variable_is_known_and_has_a_default(name: str) -> None:
    comment = compose_text().partition("x-settings")[0] + compose_text(name).partition("x-settings")[0]
    for variable, default in VARIABLE.findall(compose_text(name)):
        assert variable in DEFAULTS or variable in comment, f"{variable} is not explained"
        assert default or not DEFAULTS.get(variable), f"{variable} has no default"


def test_compose_hands_every_setting_to_every_process() -> None:
    services = load_compose()["services"]
    for name in ("web", "cpu-worker", "gpu-worker", "beat", "flower"):
        assert set(DEFAULTS) - {"WEB_PORT", "FLOWER_PORT", "GPU_WORKERS"} <= set(services[name]["environment"])


def test_procfile_defaults_are_the_settings_defaults() -> None:
    readme = (ROOT / "README.md").read_text()
    for variable, default in VARIABLE.findall("\n".join(read_procfile().values())):
        if variable in DEFAULTS:
            assert default == DEFAULTS[variable]
        else:
            assert START_ONLY[variable] in (None, default)
            assert f"`{variable}`" in readme


def test_images_run_as_a_user_with_an_init_and_a_health_check() -> None:
    stages = docker_stages()
    assert dict(stages["base"])["ENTRYPOINT"] == '["tini", "--"]'
    for name in STAGES:
        instructions = dict(stages[name])
        assert instructions["USER"] == "pagefan"
        assert "HEALTHCHECK" in instructions


def test_images_copy_what_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [source for keyword, rest in docker_stages()["base"] if keyword == "COPY" for source in rest.split()[:-1]]
    assert set(copied) == kept
    for source in copied:
        assert (ROOT / source).exists()


def test_versions_agree() -> None:
    projects = [
        tomllib.loads((ROOT / name).read_text())["project"] for name in ("pyproject.toml", "server/pyproject.toml")
    ]
    project = projects[0]
    assert [each["version"] for each in projects] == [project["version"]] * 2
    listed = [*projects[1]["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    exact = [Requirement(each).specifier for each in listed if each.startswith("pagefan")]
    assert set(map(str, exact)) == {f"=={project['version']}"}
    composes = "".join(map(compose_text, ("docker-compose.yml", "compose.cpu.yaml")))
    tags = set(re.findall(r"image: pagefan-\w+:(\S+)", composes))
    assert tags == {project["version"]}
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()
    places = ("Makefile", "Dockerfile", "docker-compose.yml", "requirements.lock")
    torches = {found for name in places for found in re.findall(r"torch==([\d.]+)", (ROOT / name).read_text())}
    assert len(torches) == 1
    python = re.search(r"PYTHON_VERSION=(\S+)", (ROOT / "Dockerfile").read_text())
    assert python is not None
    assert {each["requires-python"] for each in projects} == {f">={python[1]}"}


@pytest.mark.parametrize(
    "target", ["demo", "demo ENGINE=vlm", "run", "test", "lint", "bench", "train", "readme", "lock", "latest", "clean"]
)
def test_make_target_is_complete(target: str) -> None:
    make = shutil.which("make")
    if not make:
        pytest.skip("no make")
    run = subprocess.run([make, "--dry-run", *target.split()], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_ci_script_is_sound_and_runs_lint_and_tests() -> None:
    script = ROOT / ".ci" / "run"
    subprocess.run(["bash", "-n", script], check=True)
    assert "make lint" in script.read_text()
    assert "make test" in script.read_text()


def test_pre_commit_hooks_run_installed_programs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    for hook in config["repos"][0]["hooks"]:
        program = Path(hook["entry"].split()[0]).name
        assert shutil.which(program, path=str(Path(sys.executable).parent))


def test_gpu_image_has_a_compiler_and_a_folder_for_what_it_makes_that_outlives_the_container() -> None:
    stage = docker_stages()["gpu"]
    assert any(keyword == "RUN" and " gcc " in f" {rest} " for keyword, rest in stage)
    folders = dict(pair.split("=", 1) for keyword, rest in stage if keyword == "ENV" for pair in rest.split())
    for variable in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        assert folders[variable].startswith("/cache/")
    assert "cache:/cache" in load_compose()["services"]["gpu-worker"]["volumes"], "not /tmp, which allows no programs"


def test_model_server_has_a_version() -> None:
    assert re.fullmatch(r"vllm/vllm-openai:v\d+\.\d+\.\d+", load_compose()["services"]["vllm"]["image"])

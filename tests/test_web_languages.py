"""The language of a job: what workers have is offered, what none has is refused, by REST, forms and commands."""

from __future__ import annotations

import re

import pytest
from test_tasks_split import HereAndNow, run_split, use
from web_service import WebService, body_of, check_problem

from pagefan.answers import ReadOptions, RetryOptions
from tasks import split
from tasks.ledger import StoreAway
from tasks.messages import PageTask
from tasks.runs import load_run
from tasks.settings import Settings
from web.api import languages
from web.api.inputs import JobFields
from web.api.repairs import RetryFields
from web.cli.parser import make_parser
from workers.languages import AUTO, covers, languages_of, of_script, package_of, readable


def report(web: WebService, **workers: list[str]) -> None:
    for worker, names in workers.items():
        web.ledger.report_alive("gpu", worker, engine="tesseract", languages=names)


@pytest.mark.parametrize("language", ["eng", "deu+eng", "auto", "script/Cyrillic", "chi_sim_vert"])
def test_language_is_kept_for_workers_to_come(web: WebService, language: str) -> None:
    [job] = web.upload(language=language).json["jobs"]
    assert job["options"]["language"] == language
    assert load_pages_request(web, job["id"]) == language


def load_pages_request(web: WebService, job_id: str, run: int = 1) -> str:
    if run == 1:
        web.ledger.begin_split(job_id)
        web.ledger.open_first_run(job_id, num_pages=1, selection="1", size=1)
    return load_run(job_id, run).request(0).language


@pytest.mark.parametrize("language", ["+", "eng+", "../eng", "eng deu", "auto+eng", "a" * 201, "-l"])
def test_what_is_no_language_is_refused(web: WebService, language: str) -> None:
    body = check_problem(web.upload(language=language), 422, "invalid-options")
    assert body["errors"][0]["option"].endswith("language")


def test_language_that_no_worker_has_is_refused_with_its_package(web: WebService) -> None:
    report(web, one=["deu", "eng", "auto"], two=["eng", "fra"])
    assert web.upload(language="deu+eng").status_code == 202
    assert web.upload(language="fra").status_code == 202
    assert web.upload(language="auto").status_code == 202
    body = check_problem(web.upload(language="eng+chi_sim"), 422, "invalid-options")
    assert "apt-get install tesseract-ocr-chi-sim, or brew install tesseract-lang" in body["detail"]
    assert body["errors"] == [{"option": "language", "message": body["detail"].removeprefix("language: ")}]
    assert "tesseract-ocr-fra" in check_problem(web.upload(language="deu+fra"), 422, "invalid-options")["detail"]
    url = {"url": "https://example.com/a.pdf", "language": "rus"}
    check_problem(web.client.post("/api/v1/jobs", json=url), 422, "invalid-options")


def test_auto_without_its_detector_is_refused_with_the_package(web: WebService) -> None:
    report(web, one=["eng"])
    body = check_problem(web.upload(language="auto"), 422, "invalid-options")
    assert "tesseract-ocr-osd" in body["detail"]


def test_workers_whose_engine_knows_no_languages_refuse_none(web: WebService) -> None:
    web.ledger.report_alive("gpu", "one", engine="ocr")
    assert web.upload(language="rus").status_code == 202


def test_pages_are_read_again_in_another_language(web: WebService) -> None:
    report(web, one=["deu", "eng"])
    job_id = web.open(2)
    web.read(job_id, 1)
    web.fail(job_id, 2)
    web.finish(job_id)
    check_problem(web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"language": "rus"}), 422, "invalid-options")
    check_problem(web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"language": "?"}), 422, "invalid-options")
    assert web.client.post(f"/api/v1/jobs/{job_id}/retry", json={"language": "deu"}).status_code == 202
    assert load_run(job_id, 2).request(1).language == "deu"
    assert web.ledger.look(PageTask(job_id=job_id, run=2, index=1)) is not None


def test_forms_offer_the_languages_that_workers_have(web: WebService) -> None:
    job_id = web.open(1)
    web.fail(job_id, 1)
    web.finish(job_id)
    addresses = ["/", f"/jobs/{job_id}", f"/jobs/{job_id}/pages/1"]
    assert not any('name="language"' in web.client.get(address).text for address in addresses)
    report(web, one=["auto", "deu", "eng"], two=["eng", "fra"])
    for address in addresses:
        text = web.client.get(address).text
        assert 'name="language"' in text
        offers = re.findall("<datalist[^>]*>(.*?)</datalist>", text)
        assert offers
        assert all(re.findall('value="([a-z]+)"', one) == ["deu", "eng", "fra", "auto"] for one in offers)


def test_upload_form_without_javascript_sends_the_language(web: WebService) -> None:
    page = web.client.get("/").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    data = {"csrf_token": token[1], "language": "deu", "url": "https://example.com/a.pdf"}
    assert web.client.post("/jobs", data=data).status_code == 303
    [job] = web.ledger.jobs()
    assert job.options.language == "deu"


def test_nothing_is_offered_while_the_store_is_away(web: WebService, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_away(*_: object) -> list[list[str]]:
        raise StoreAway("away")

    report(web, one=["eng"])
    assert languages.known_languages() == ["eng"]
    monkeypatch.setattr(languages, "of_workers", raise_away)
    assert languages.known_languages() == []


def test_clients_and_the_command_line_have_the_option() -> None:
    assert {"language"} <= set(ReadOptions.__annotations__) & set(RetryOptions.__annotations__)
    assert {"language"} <= set(JobFields.model_fields) & set(RetryFields.model_fields)
    for command in (["convert", "a.pdf"], ["ask", "a.pdf", "what"], ["watch", "in", "-o", "out"], ["retry", "1"]):
        assert make_parser().parse_args([*command, "--language", "deu+fra"]).language == "deu+fra"


@pytest.mark.parametrize(("engine", "num_warnings"), [("ocr", 1), ("echo", 1), ("tesseract", 0)])
def test_engine_that_is_not_told_languages_says_so(
    web: WebService, monkeypatch: pytest.MonkeyPatch, engine: str, num_warnings: int
) -> None:
    monkeypatch.setattr(split, "engine_name", lambda _: engine)
    monkeypatch.setattr(split, "engine_options", lambda _: Settings().engine_options(engine))
    use(monkeypatch, HereAndNow())
    for options in ({}, {"language": "deu"}):
        job = run_split(web, web.submit(**options), [])
        warnings = body_of(web.client.get(f"/api/v1/jobs/{job.id}"))["warnings"]
        assert len(warnings) == (num_warnings if options else 0)
        assert all(f"the engine `{engine}` is not told languages" in warning for warning in warnings)


# scripts and languages

HERE = {"eng", "deu", "osd", "rus", "ukr", "kaz", "heb", "script/Cyrillic"}


@pytest.mark.parametrize(
    ("script", "installed", "default", "expected"),
    [
        ("Latin", {"eng", "deu"}, ["eng"], ["eng", "deu"]),
        ("Latin", {"eng", "deu", "fra", "spa", "por"}, ["deu"], ["deu", "eng", "spa"]),
        ("Hebrew", HERE, ["eng"], ["heb", "eng"]),
        ("Cyrillic", HERE, ["eng"], ["script/Cyrillic", "eng"]),
        ("Cyrillic", HERE - {"script/Cyrillic"}, ["eng"], ["rus", "ukr", "eng"]),
        ("Cyrillic", HERE - {"script/Cyrillic"}, ["rus"], ["rus", "ukr", "kaz"]),
        ("Thai", HERE, ["eng"], ["eng"]),
        ("Han", {"eng", "script/HanS"}, ["eng"], ["script/HanS", "eng"]),
        ("", HERE, ["deu", "eng"], ["deu", "eng"]),
        ("Nowhere", HERE, ["deu"], ["deu"]),
    ],
)
def test_languages_of_a_script_are_the_installed_ones(
    script: str, installed: set[str], default: list[str], expected: list[str]
) -> None:
    assert of_script(script, installed, default) == expected


def test_script_that_can_be_read_is_covered() -> None:
    assert covers(["eng", "rus"], "Cyrillic")
    assert covers(["script/HanT"], "Han")
    assert not covers(["eng", "script/Latin"], "Cyrillic")
    assert not covers([], "Nowhere")


def test_packages_have_debians_names() -> None:
    names = ["deu", "chi_sim", "srp_latn", "script/Cyrillic", "script/Japanese_vert"]
    assert [package_of(name).removeprefix("tesseract-ocr-") for name in names] == [
        "deu", "chi-sim", "srp-latn", "script-cyrl", "script-jpan-vert",
    ]  # fmt: skip


def test_what_is_no_language_to_read_in_is_not_offered() -> None:
    assert readable(["osd", "equ", "snum", "eng", "deu"]) == ["deu", "eng", AUTO]
    assert readable(["eng"]) == ["eng"]
    assert languages_of("Latin")[0] == "eng"

"""The command line against a server on a real socket."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from services import wait_until
from stand_in import Worker, reading, refusing
from web_service import NUMBERS, PDF, WebService, page

from tasks.archive import read_content
from tasks.ledger import new_fields
from tasks.page_end import save_text
from tasks.services import get_blobs
from tasks.settings import get_settings
from web.cli import parser as cli


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def test_convert_command_writes_beside_and_exits_0(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web):
        assert run("convert", document, "-o", tmp_path / "out", "--server", url) == 0
    written = tmp_path / "out" / "report.md"
    assert "page 2" in written.read_text()
    assert str(written) in capsys.readouterr().out


def test_convert_command_prints_json_alone_to_standard_output(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web):
        assert run("convert", document, "-o", "-", "--format", "json", "--server", url) == 0
    assert json.loads(capsys.readouterr().out)["pages"][0]["page_number"] == 1


def test_convert_command_takes_folders_and_keeps_equal_names_apart(web: WebService, url: str, tmp_path: Path) -> None:
    for name in ("a/report.pdf", "b/deep/report.PDF", "b/notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PDF)
    with reading(web):
        assert run("convert", tmp_path / "in", "-o", tmp_path / "out", "--server", url) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report-2.md", "report.md"]


def test_convert_command_exits_3_for_a_partial_document(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web, failed=(3,)):
        assert run("convert", document, "-o", tmp_path, "--server", url) == 3
    assert "page 3" in capsys.readouterr().err


def test_convert_command_exits_4_for_a_broken_document(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with refusing(web):
        assert run("convert", document, "--server", url) == 4
    assert "damaged" in capsys.readouterr().err


def test_convert_command_exits_5_when_the_job_is_cancelled(web: WebService, url: str, document: Path) -> None:
    with Worker(web, lambda job_id: web.client.delete(f"/api/v1/jobs/{job_id}")):
        assert run("convert", document, "--server", url) == 5


def test_commands_exit_6_when_the_server_is_away(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", document, "--server", "http://127.0.0.1:1") == 6
    assert run("status", "x", "--server", "http://127.0.0.1:1") == 6
    assert "pagefan up" in capsys.readouterr().err


def test_wrong_usage_exits_2(url: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run("convert")
    assert caught.value.code == 2
    assert run("status", "unknown", "--server", url) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["convert", "no-such.pdf"], "no-such.pdf"),
        (["convert", "report.pdf", "--pages", "0-x"], "report.pdf: "),
        (["convert", "notes.txt"], "notes.txt: "),
    ],
)
def test_what_the_asker_can_mend_exits_2(
    url: str,
    document: Path,
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(document.parent)
    Path("notes.txt").write_text("plain words")
    assert run(*arguments, "--server", url) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "notes.txt: notes.txt" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["jobs", "--limit", "-1"], "-1 is no number from 1 on"),
        (["status", "x", "--server", "somewhere"], "somewhere is no address such as http://"),
    ],
)
def test_arguments_that_make_no_sense_are_said_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_setting_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    get_settings.cache_clear()
    monkeypatch.setenv("WEB_PORT", "many")
    try:
        assert run("jobs") == 2
    finally:
        get_settings.cache_clear()
    assert "WEB_PORT" in capsys.readouterr().err


def test_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--version")
    assert caught.value.code == 0
    assert capsys.readouterr().out.split() == ["pagefan", version("pagefan")]


def test_shell_completes_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("completion", "bash") == 0
    script = tmp_path / "pagefan.bash"
    script.write_text(capsys.readouterr().out)
    ask = f"source {script}; COMP_WORDS=(pagefan res); COMP_CWORD=1; _shtab_pagefan; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["result"], done.stderr


def test_file_of_a_person_is_never_written_over(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = tmp_path / "report.md"
    notes.write_text("my notes")
    with reading(web):
        assert run("convert", document, "-o", tmp_path, "--server", url) == 0
        assert run("convert", document, "-o", tmp_path, "--server", url) == 0
    assert notes.read_text() == "my notes"
    second = tmp_path / "report-2.md"  # pagefan's own, and replaced the second time
    assert capsys.readouterr().out.split() == [str(second)] * 2
    second.write_text("mended by hand")
    with reading(web):
        assert run("convert", document, "-o", tmp_path, "--server", url) == 0
        assert run("convert", document, "-o", tmp_path, "--overwrite", "--server", url) == 0
    assert second.read_text() == "mended by hand"
    assert "page 2" in (tmp_path / "report-3.md").read_text()
    assert "page 2" in notes.read_text()


def test_standard_input_is_converted_to_standard_output(
    web: WebService, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(PDF)))
    with reading(web):
        assert run("convert", "-", "--name", "letter.pdf", "--server", url) == 0
    assert "page 2" in capsys.readouterr().out
    [job] = web.ledger.jobs()
    assert job.name == "letter.pdf"


def test_result_of_a_job_is_written(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web):
        assert run("convert", document, "-o", tmp_path / "out", "--server", url) == 0
    [job] = web.ledger.jobs()
    capsys.readouterr()
    assert run("result", job.id, "--server", url) == 0
    assert "page 2" in capsys.readouterr().out
    assert run("result", job.id, "--format", "json", "-o", tmp_path, "--server", url) == 0
    assert json.loads((tmp_path / "report.json").read_text())["pages"]
    person = tmp_path / "mine.txt"
    person.write_text("mine")
    assert run("result", job.id, "-o", person, "--server", url) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert person.read_text() == "mine"
    assert run("result", job.id, "-o", person, "--overwrite", "--server", url) == 0
    assert "page 2" in person.read_text()
    assert run("result", "unknown", "--server", url) == 2


def test_job_is_shown_in_the_browser(
    web: WebService, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    job_id = web.open(2)
    assert run("open", job_id, "--server", f"{url}/") == 0
    assert shown == [f"{url}/jobs/{job_id}"] == capsys.readouterr().out.split()


def test_sentences_to_a_pipe_are_not_wrapped(url: str) -> None:
    long = f"{'very-' * 30}long.pdf"
    command = [sys.executable, "-m", "web.cli", "convert", long, "--server", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    [line] = done.stderr.splitlines()
    assert long in line


def test_status_cancel_and_retry_commands(web: WebService, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = web.open(2)
    web.fail(job_id, 1)
    assert run("status", job_id, "--server", url) == 0
    assert "missing pages: 1" in capsys.readouterr().out
    assert run("cancel", job_id, "--server", url) == 0
    assert run("status", job_id, "--server", url) == 5

    def repair() -> None:
        web.read(job_id, 1, run=2)
        web.finish(job_id)

    timer = threading.Timer(0.5, repair)
    timer.start()
    assert run("retry", job_id, "--pages", "1", "--server", url) == 3
    timer.join()


def test_convert_leaves_a_url_to_the_server(web: WebService, url: str, tmp_path: Path) -> None:
    source = "https://public.example/folder/annual%20report.pdf"
    with reading(web):
        assert run("convert", source, "--server", url, "-o", tmp_path, "--pages", "1-3") == 0
    assert "page 2" in (tmp_path / "annual report.md").read_text()
    [job] = web.ledger.jobs()
    assert (job.source_url, job.options.pages) == (source, "1-3")


def test_convert_of_a_private_url_says_what_to_do(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", "http://192.168.0.1/a.pdf", "--server", url) == 2
    assert "Send the file itself" in " ".join(capsys.readouterr().err.split())


def test_pages_are_printed_while_later_ones_are_still_to_be_read(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    early = []

    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=3, selection="1-3", size=3)
        write(job_id, 3)
        write(job_id, 1)
        early.append(wait_until(lambda: capsys.readouterr().out, 20))
        write(job_id, 2)
        web.finish(job_id)

    with Worker(web, work):
        assert run("convert", str(document), "-o", "-", "--format", "txt", "--server", url) == 0
    assert early == ["page 1\n\f"]
    assert early[0] + capsys.readouterr().out == web.get(f"/jobs/{web.ledger.jobs()[0].id}/result?format=txt").text


def write(job_id: str, number: int) -> None:
    """A page as a language model reads it, whose layout is in its text."""
    save_text(page(job_id, number), f"page {number}", engine="vlm", seconds=0.1)


def test_a_page_waits_for_its_layout(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=2, selection="1-2", size=2)
        web.read(job_id, 1, "right left")
        write(job_id, 2)
        record = web.ledger.page(job_id, 0)
        blocks = [{"kind": "paragraph", "text": "left"}, {"kind": "paragraph", "text": "right"}]
        get_blobs().write_json(record.blob, read_content(record) | {"blocks": blocks})
        web.ledger.note(page(job_id, 1))
        web.finish(job_id)

    with Worker(web, work):
        assert run("convert", str(document), "-o", "-", "--format", "txt", "--server", url) == 0
    assert capsys.readouterr().out == "left\n\nright\n\fpage 2\n\f"


@pytest.mark.parametrize("format", ["md", "txt"])
def test_printed_pages_are_the_result(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    with reading(web, 4, failed=(1, 4)):
        assert run("convert", document, "-o", "-", "--format", format, "--server", url) == 3
    whole = web.get(f"/jobs/{web.ledger.jobs()[0].id}/result?format={format}").text
    assert capsys.readouterr().out == whole


def test_document_without_text_prints_nothing(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web, 2, failed=(1, 2)):
        assert run("convert", str(document), "-o", "-", "--server", url) == 4
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("format", ["md", "json"])
def test_documents_are_printed_one_after_another_in_the_order_given(
    web: WebService, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    paths = [tmp_path / f"{number}.pdf" for number in range(6)]
    for path in paths:
        path.write_bytes(PDF)

    def work(job_id: str) -> None:
        job = web.ledger.job(job_id)
        assert job is not None
        web.ledger.open_first_run(job_id, num_pages=1, selection="1", size=1)
        web.read(job_id, 1, f"text of {job.name}")
        web.finish(job_id)

    with Worker(web, work):
        assert run("convert", *paths, "-o", "-", "--format", format, "--server", url) == 0
    printed = re.findall(r"text of (\d)\.pdf", capsys.readouterr().out)
    assert list(dict.fromkeys(printed)) == list("012345")  # JSON has it as text and in a block


def test_warnings_of_a_document_are_said(
    web: WebService, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "folder.pdf").mkdir(parents=True)
    path = tmp_path / "in" / f"{'n' * 250}.pdf"
    path.write_bytes(PDF)

    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=1, selection="1", size=1, warnings=["Something is left out."])
        web.read(job_id, 1)
        web.finish(job_id)

    with Worker(web, work):
        assert run("convert", tmp_path / "in", "-o", tmp_path / "out", "--format", "json", "--server", url) == 0
    assert f"{path.name}: Something is left out." in capsys.readouterr().err.replace("\n", "")
    [made] = (tmp_path / "out").iterdir()
    assert made.name.startswith("n" * 240)


def test_attached_documents_are_written_too(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(job_id: str) -> None:
        job = web.ledger.job(job_id)
        assert job is not None
        if job.options.attachments:
            options = replace(job.options, attachments=False)
            about: dict[str, Any] = {"owner": "local", "kind": "pdf", "batch_id": job.batch_id}
            for number, parent in enumerate((job_id, job_id, "")):
                name = f"attached {number}.pdf"
                new = new_fields(name=name, parent=parent, size=1, options=options, **about)
                web.ledger.create_all({f"{next(NUMBERS):016x}": new}, most=0)
        if job.name == "attached 1.pdf":
            web.ledger.end_job(job_id, "failed", error={"reason": "corrupt", "detail": "The file is damaged."})
            return
        web.ledger.open_first_run(job_id, num_pages=1, selection="1", size=1)
        web.read(job_id, 1, f"text of {job.name}")
        web.finish(job_id)

    with Worker(web, work):
        assert run("convert", document, "-o", tmp_path / "out", "--attachments", "--server", url) == 4
        assert run("convert", document, "-o", "-", "--attachments", "--server", url) == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["attached 0.md", "report.md"]
    output = capsys.readouterr()
    assert re.findall(r"text of (.+)\.pdf", output.out) == ["report", "attached 0"]
    assert "attached 1.pdf: The file is damaged." in output.err


def test_reader_that_goes_away_ends_the_command_and_the_job(web: WebService, url: str, document: Path) -> None:
    def work(job_id: str) -> None:
        web.ledger.open_first_run(job_id, num_pages=2, selection="1-2", size=2)
        write(job_id, 1)

    command = [sys.executable, "-m", "web.cli", "convert", str(document), "-o", "-", "--format", "txt"]
    command += ["--server", url]
    with Worker(web, work), subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read().decode()
    assert process.returncode == 141, errors
    assert "Traceback" not in errors
    assert [job.state for job in web.ledger.jobs()] == ["cancelled"]


def test_options_reach_the_job(web: WebService, url: str, document: Path, tmp_path: Path) -> None:
    options = ["--task", "describe", "--text-layer", "prefer", "--priority", "high", "--max-new-tokens", "77"]
    with reading(web):
        assert run("convert", document, "-o", tmp_path, "--batch-id", "b1", *options, "--server", url) == 0
    [job] = web.ledger.jobs()
    asked = job.options
    assert (asked.task, asked.text_layer, asked.priority, asked.max_new_tokens) == ("describe", "prefer", 4, 77)
    assert job.batch_id == "b1"


def test_convert_tells_machines_what_became_of_each_document(
    web: WebService, url: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web, failed=(2,)):
        assert run("convert", document, tmp_path / "none.pdf", "--json", "-o", tmp_path, "--server", url) == 2
    lines = {Path(line["source"]).name: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    found = lines["report.pdf"]
    assert (found["state"], found["missing_pages"]) == ("partial", [2])
    assert found["output"] == str(tmp_path / "report.md")
    assert "No such file" in lines["none.pdf"]["error"]


def test_source_is_not_overwritten_by_its_result(
    web: WebService, url: str, document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.api.results.open_pdf", lambda _: iter([b"searchable"]))
    monkeypatch.chdir(tmp_path)
    with reading(web):
        assert run("convert", "report.pdf", "--format", "pdf", "--server", url) == 0
    assert document.read_bytes() == PDF
    assert (tmp_path / "report-2.pdf").read_bytes() == b"searchable"


@pytest.mark.parametrize(
    ("format", "name"),
    [("docling", "report.docling.json"), ("chunks", "report.chunks.jsonl"), ("alto", "report.alto.xml")],
)
def test_result_has_the_suffix_that_other_programs_know(
    web: WebService, url: str, document: Path, tmp_path: Path, format: str, name: str
) -> None:
    with reading(web):
        assert run("convert", document, "-o", tmp_path / "out", "--format", format, "--server", url) == 0
    [made] = (tmp_path / "out").iterdir()
    assert made.name == name
    assert ('CONTENT="3"' if format == "alto" else "page 3") in made.read_text()


def test_word_file_is_not_written_to_a_terminal(
    web: WebService, url: str, document: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("convert", document, "-o", "-", "--format", "docx", "--server", url) == 2
    assert "docx is no text" in capsys.readouterr().err
    assert web.ledger.jobs() == []


def test_ask_prints_the_answer_alone_and_page_by_page_where_there_are_several(
    web: WebService, url: str, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with reading(web, 1):
        assert run("ask", document, "How much?", "--server", url) == 0
    assert capsys.readouterr().out == "page 1\n"
    with reading(web, 3, failed=(2,)):
        assert run("ask", document, "How much?", "--server", url) == 3
    shown = capsys.readouterr()
    assert shown.out == "Page 1: page 1\nPage 3: page 3\n"
    assert "No answer for page 2" in shown.err
    with reading(web, 1):
        assert run("ask", document, "How much?", "--json", "--server", url) == 0
    assert json.loads(capsys.readouterr().out) == [{"page_number": 1, "answer": "page 1"}]


def test_jobs_are_listed(web: WebService, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [web.submit(name=f"{number}.pdf", batch_id="b1" if number else "") for number in range(3)]
    assert run("jobs", "--limit", 2, "--server", url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ids[:0:-1]
    assert lines[0].endswith("2.pdf")
    assert run("jobs", "--batch", "b1", "--json", "--server", url) == 0
    assert [job["id"] for job in json.loads(capsys.readouterr().out)] == ids[1:]


def test_status_waits_and_gives_json(web: WebService, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    job_id = web.open(1)

    def end() -> None:
        web.read(job_id, 1)
        web.finish(job_id)

    timer = threading.Timer(0.3, end)
    timer.start()
    assert run("status", job_id, "--wait", "--json", "--server", url) == 0
    timer.join()
    assert json.loads(capsys.readouterr().out)["state"] == "succeeded"


def test_server_and_key_come_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAN_URL", url)
    monkeypatch.setenv("PAGEFAN_API_KEY", "k1")
    args = cli.make_parser().parse_args(["jobs"])
    assert (args.server, args.key) == (url, "k1")
    assert run("jobs") == 0

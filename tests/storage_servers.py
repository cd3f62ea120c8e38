"""An S3 and an SFTP server on this machine, for as long as a test needs them: moto, and asyncssh in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import boto3
import httpx
from moto.server import ThreadedMotoServer

SECRET = "keep-this-from-everybody"
REGION = "us-east-1"


@dataclass
class S3:
    """A server with the bucket `scans`."""

    url: str
    client: Any

    @property
    def options(self) -> dict[str, str]:
        return {"endpoint_url": self.url, "key": "somebody", "secret": SECRET}

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket="scans", Key=key, Body=data)

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket="scans", Key=key)["Body"].read())

    def keys(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket="scans").get("Contents", ())]

    def place(self, folder: str = "", **more: Any) -> dict[str, Any]:
        return {"url": f"s3://scans{folder}", "options": self.options} | more


@contextlib.contextmanager
def s3_server() -> Iterator[S3]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="somebody", aws_secret_access_key=SECRET, region_name=REGION
    )
    httpx.post(f"{url}/moto-api/reset").raise_for_status()  # all servers of a process share what they have
    client.create_bucket(Bucket="scans")
    try:
        yield S3(url, client)
    finally:
        client.close()
        server.stop()


@dataclass
class Sftp:
    """A server whose root is `folder`, for the user `clerk`; `known_hosts` is a file with its key."""

    port: int
    folder: Path
    known_hosts: Path

    @property
    def url(self) -> str:
        return f"sftp://127.0.0.1:{self.port}"

    def place(self, folder: str = "", **more: Any) -> dict[str, Any]:
        options = {"username": "clerk", "password": SECRET, "known_hosts": str(self.known_hosts)}
        return {"url": self.url + folder, "options": options} | more


class Clerk(asyncssh.SSHServer):
    def begin_auth(self, _: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("clerk", SECRET)


@contextlib.contextmanager
def sftp_server(folder: Path) -> Iterator[Sftp]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    key = asyncssh.generate_private_key("ssh-ed25519")

    class Files(asyncssh.SFTPServer):
        def __init__(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
            super().__init__(chan, chroot=str(folder).encode())

    async def start() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(Clerk, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=Files)

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    known_hosts = folder.parent / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{server.get_port()} {key.export_public_key().decode()}")
    try:
        yield Sftp(server.get_port(), folder, known_hosts)
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def storage_of(**places: dict[str, Any]) -> str:
    """For STORAGE."""
    return json.dumps(places)

"""As much of a WebSocket client (RFC 6455) as a test needs to talk to a browser on this machine."""

from __future__ import annotations

import base64
import os
import socket
import struct
from typing import Self

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
TIMEOUT_S = 60


class WebSocket:
    """Sends and receives texts; raises OSError where the other side goes away."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._socket = socket.create_connection((host, port), TIMEOUT_S)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = self._file.readline()
        if b" 101 " not in status:
            raise OSError(f"no WebSocket: {status!r}")
        while self._file.readline().strip():
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, text: str, code: int = TEXT) -> None:
        data, mask = text.encode(), os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        self._socket.sendall(bytes([0x80 | code]) + length_of(data) + mask + masked)

    def receive(self) -> str:
        """The next whole text."""
        text = b""
        while True:
            head, length = self._read(2)
            code, size = head & 15, length & 127
            if size >= 126:
                [size] = struct.unpack(">H" if size == 126 else ">Q", self._read(2 if size == 126 else 8))
            data = self._read(size)
            if code == CLOSE:
                raise OSError("the browser has closed the connection")
            if code == PING:
                self.send(data.decode(), PONG)
            elif code != PONG:
                text += data
                if head & 0x80:
                    return text.decode()

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise OSError("the browser has gone away")
        return data


def length_of(data: bytes) -> bytes:
    """The length as a frame has it that is masked."""
    size = len(data)
    if size < 126:
        return bytes([0x80 | size])
    return struct.pack(">BH", 0x80 | 126, size) if size < 65_536 else struct.pack(">BQ", 0x80 | 127, size)

"""Flower behind a guard: it shows what goes on and changes nothing, and only its own pages may ask.

Flower's `--read-only` closes its calls one by one, and without a login it answers any name and any origin. This start
module refuses before a handler is chosen: every method but reading, names that lead here by another's DNS, and what a
page of another site sends. It reads no flowerconfig.py from the folder it is started in.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from flower.app import Flower
from flower.command import apply_env_options, extract_settings, setup_logging
from flower.options import default_options
from flower.urls import settings as flower_settings
from tornado.options import parse_command_line
from tornado.web import RequestHandler

from tasks.app import app
from tasks.settings import SettingsError, get_settings
from web.api.auth import is_foreign, is_loopback, is_origin_of
from workers.private import UMASK

TABLE = "/tasks/datatable"  # Flower's own list of tasks asks for its rows by POST


class Refused(RequestHandler):
    """Says why a request is not answered, in one line."""

    def initialize(self, *, words: str) -> None:
        self.words = words

    def prepare(self) -> None:
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{self.words}\n")


class GuardedFlower(Flower):
    """Flower's application; each request passes the guard first."""

    def find_handler(self, request: Any, **kwargs: Any) -> Any:
        words = reason_to_refuse(request, has_login=bool(self.options.basic_auth), address=self.options.address)
        if words:
            return self.get_handler_delegate(request, Refused, {"words": words})
        return super().find_handler(request, **kwargs)


def reason_to_refuse(request: Any, *, has_login: bool, address: str) -> str:
    """Why a request of tornado's is not answered; empty for one that is."""
    if request.method not in ("GET", "HEAD") and not (request.method == "POST" and request.path == TABLE):
        return "Flower only shows here; it changes nothing."
    try:
        host = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return "The Host cannot be read."
    if not has_login and is_foreign(host) and host not in own_names(address):
        return "Flower has no login here, so it does not answer at this name; set FLOWER_BASIC_AUTH."
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site", "none")
    is_navigation = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if (origin and not is_origin_of(origin, request.host)) or (
        site not in ("none", "same-origin") and not is_navigation
    ):
        return "The browser says that another site sent this request."
    return ""


def own_names(address: str) -> tuple[str, str]:
    return address.lower(), get_settings().publish_address.lower()


def refuse_to_be_open(address: str, *, has_login: bool) -> None:
    """Raise SettingsError where everybody on the network could look at a Flower that asks for no login."""
    settings = get_settings()
    host = settings.publish_address or address
    if not (has_login or settings.allow_open or is_loopback(host)):
        raise SettingsError(
            f"Flower at {host!r} can be reached from other machines: set FLOWER_BASIC_AUTH=user:password"
        )


def build(arguments: list[str]) -> GuardedFlower:
    """The application with Flower's own options, from FLOWER_… in the environment and from `arguments`."""
    open_api()
    apply_env_options()
    parse_command_line(["flower", *arguments])
    default_options.read_only = True
    extract_settings()
    setup_logging()
    refuse_to_be_open(default_options.address, has_login=bool(default_options.basic_auth))
    return GuardedFlower(capp=app, options=default_options, **flower_settings)


def open_api() -> None:
    """Have Flower answer its readable API without a login, and take its empty login for none.

    Flower reads this from the environment alone. The header that it then sends to other origins never reaches one.
    """
    os.environ["FLOWER_UNAUTHENTICATED_API"] = "true"
    if not os.environ.get("FLOWER_BASIC_AUTH"):
        os.environ.pop("FLOWER_BASIC_AUTH", None)


def on_sigterm(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> None:
    os.umask(UMASK)  # its list of tasks is a file
    try:
        flower = build(sys.argv[1:])
    except SettingsError as exc:
        sys.exit(f"Flower could not start: {exc}")
    atexit.register(flower.stop)
    signal.signal(signal.SIGTERM, on_sigterm)
    flower.start_http_server()
    try:
        flower.start()
    except (KeyboardInterrupt, SystemExit):
        sys.exit(0)


if __name__ == "__main__":
    main()

"""Who is asking: API keys for programs, a session cookie for browsers. Where there are no keys all are `local`."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

from tasks.access.keys import LOCAL, get_keyring
from tasks.access.quotas import count_request
from tasks.access.sessions import owner_of_session
from tasks.settings import SettingsError, get_settings
from web.api.guests import shared_owner
from web.api.problems import Problem
from web.api.query_key import HidingKeys, key_of_query

SESSION_COOKIE = "pagefan_session"
KEY_HEADERS = ("X-API-Key", "Ocp-Apim-Subscription-Key")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
WITH_TOKENS = ("login", "pages", "actions", "guests", "lists_site", "chosen")  # blueprints
OPEN_PATHS = ("/health", "/readyz", "/version", "/login", "/static/", "/shared/", "/openapi.json", "/docs")


def register_auth(app: Flask) -> None:
    refuse_to_be_open()
    app.wsgi_app = HidingKeys(app.wsgi_app)  # type: ignore[method-assign]
    app.before_request(refuse_other_names)
    app.before_request(refuse_other_sites)
    app.before_request(identify)
    app.after_request(tell_room)


def refuse_to_be_open() -> None:
    """Raise SettingsError where everybody on the network could use a server that asks for no key."""
    settings = get_settings()
    host = settings.publish_address or settings.web_host
    if settings.allow_open or is_loopback(host) or get_keyring().is_needed:
        return
    advice = "make a key with `pagefan keys create NAME`, set API_KEYS, or set ALLOW_OPEN=1 if anybody may use it"
    raise SettingsError(f"WEB_HOST={host!r} can be reached from other machines and there are no keys: {advice}")


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_other_names() -> None:
    """A page of another site whose name was made to lead here (DNS rebinding) must not use a server without keys.

    An attacker needs a name of his own, with a dot; addresses, `localhost` and names of a local network have none.
    """
    settings, host = get_settings(), name_in(f"//{request.host}")
    if settings.allow_open or get_keyring().is_needed or not is_foreign(host):
        return
    if host not in (settings.web_host.lower(), settings.publish_address.lower()):
        raise Problem(
            "forbidden", f"This server has no keys, so it does not answer at {host}: make a key, or set ALLOW_OPEN=1."
        )


def name_in(url: str) -> str:
    """The host that a URL names; raises Problem for one that cannot be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError as exc:
        raise Problem("bad-request", "The Host cannot be read.") from exc


def is_foreign(host: str) -> bool:
    """Whether this is a name that anybody may own, rather than an address or a name without a dot."""
    try:
        ip_address(host)
    except ValueError:
        name = host.rstrip(".")
        return "." in name and not name.endswith(".localhost")
    return False


def refuse_other_sites() -> None:
    """A page of another site must not act through the browser of someone who may use this server."""
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin") or (origin and not is_origin_of(origin, request.host)):
        raise Problem("forbidden", "The browser says that another site sent this request.")


def is_origin_of(origin: str, host: str) -> bool:
    return origin.partition("://")[2] == host


def refuse_unproven() -> None:
    """A call that changes something by the session cookie alone must say which site sent it; all browsers do.

    The forms of our pages carry a token instead, which their views check.
    """
    if request.method in SAFE_METHODS or request.blueprint in WITH_TOKENS:
        return
    if "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers:
        raise Problem("forbidden", "A cookie without an Origin is not enough; send the key in Authorization.")


def identify() -> None:
    """Set `g.owner`, whose jobs this request sees; raises Problem when a key is needed and none fits."""
    g.owner = LOCAL
    if request.path.startswith(OPEN_PATHS) or not get_keyring().is_needed:
        return
    owner = get_keyring().owner_of(sent_key())
    if owner is None and (owner := owner_of_session(request.cookies.get(SESSION_COOKIE, ""))):
        refuse_unproven()
    if (shared := shared_owner()) and shared != owner:
        count(f"guest-{shared}")
        g.owner, g.is_guest = shared, True
        return
    if owner is None:
        raise Problem("unauthorized", headers={"WWW-Authenticate": 'Bearer realm="pagefan"'})
    count(owner)
    g.owner = owner


def count(owner: str) -> None:
    """Count this request of the owner; raises OverQuota when it is one too many."""
    g.room = count_request(owner)
    if g.room:
        g.room.check()


def tell_room(response: Response) -> Response:
    """Say with the answer how many requests the key has left this minute, where a limit holds."""
    if room := g.get("room"):
        response.headers["X-RateLimit-Limit"] = str(room.most)
        response.headers["X-RateLimit-Remaining"] = str(max(0, room.left))
        response.headers["X-RateLimit-Reset"] = str(room.reset_s)
    return response


def sent_key() -> str:
    """The key, in whichever way this client sends it; "" for none.

    Clients without a field for keys are given an address such as `http://key:KEY@host`, of which they make Basic.
    """
    sent = request.authorization
    if sent is None or sent.type not in ("bearer", "basic"):
        return next((request.headers[name] for name in KEY_HEADERS if name in request.headers), "") or key_of_query()
    key = sent.token if sent.type == "bearer" else sent.password or sent.username
    return (key or "").strip()


def is_signed_in() -> bool:
    """Whether a browser session is behind this request, so that it can be ended."""
    return g.get("owner", LOCAL) != LOCAL and SESSION_COOKIE in request.cookies

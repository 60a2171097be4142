"""The page in the browser: files that are served as they are, and who may call the control endpoint from a browser.

The page talks to the control endpoint of its own address alone. Other sites that a browser has open could call it, too:
what does not come from the page itself is refused by what the browser says of it (Origin, Sec-Fetch-Site: W3C Fetch
Metadata). A name that leads here and is none of this world's is refused by its Host already
(:class:`~simulator.serving.world.ServedWorld`). Programs say none of that, and are let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from simulator.azure_ad.wire import Answer, Call

PREFIX: Final = "/page/"
TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FILES: Final = ("page.html", "page.css", "page.js", "icon.svg")
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""What the page may do (W3C Content Security Policy): load its own files, and ask its own address."""
HEADERS: Final = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)


def is_wanted(call: Call) -> bool:
    """Whether a call is for the page: one of its files, or the root by somebody who reads HTML."""
    if call.method not in ("GET", "HEAD"):
        return False
    if call.path == "/":
        return "text/html" in call.headers.get("accept", "")
    return call.path.startswith(PREFIX) and call.path.removeprefix(PREFIX) in FILES


def answer(call: Call) -> Answer:
    """A file of the page."""
    name = "page.html" if call.path == "/" else call.path.removeprefix(PREFIX)
    body = files(__package__).joinpath("page", name).read_bytes()
    return Answer(200, [("Content-Type", TYPES[name.rpartition(".")[2]]), ("Vary", "Accept"), *HEADERS], body)


def is_from_elsewhere(call: Call) -> bool:
    """Whether a browser says that another site has made this call."""
    origin = call.headers.get("origin")
    if origin is not None and origin.lower() != f"https://{call.headers.get('host', '').lower()}":
        return True
    return _fetched_by(call.headers) not in ("", "same-origin", "none")


def _fetched_by(headers: Mapping[str, str]) -> str:
    return headers.get("sec-fetch-site", "").lower()

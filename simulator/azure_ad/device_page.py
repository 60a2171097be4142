"""The page on which a person types a device's code and signs in on its behalf: plain HTML, no scripts.

The real page asks for one thing after another and leaves the password to the sign-in pages; this one asks at once.
"""

from __future__ import annotations

from html import escape

from simulator.azure_ad.errors import TokenRefused
from simulator.azure_ad.grants.password import check_password
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.wire import Answer, Call, read_form

_HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
]
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in to a device</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{{color-scheme:light dark}}
body{{font:1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:3rem auto;padding:0 1rem}}
label{{display:block;margin:.75rem 0}}
input{{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.35rem}}
button{{font:inherit;padding:.35rem 1rem;margin-right:.5rem}}</style></head>
<body><main><h1>Sign in to a device</h1>{body}</main></body></html>
"""
_FORM = """<form method="post" action="/device">
<label>Code shown by the device <input name="user_code" value="{code}" autocomplete="off" required></label>
<label>Name <input name="username" value="{name}" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button name="action" value="sign-in">Sign in</button><button name="action" value="decline">Cancel</button></form>"""


def show_page(call: Call) -> Answer:
    """The form; a code in the query (``otc``, as the real page has it, or ``user_code``) is filled in."""
    return _page(200, code=call.query.get("otc") or call.query.get("user_code", ""))


def answer_page(tenant: Tenant, call: Call) -> Answer:
    """What came of a form that was sent: a real sign-in, which counts as any other. A password is never shown again."""
    try:
        form = read_form(call.body)
    except ValueError:
        return _page(400, problem="The form has too many fields.")
    typed, name = form.get("user_code", ""), form.get("username", "")
    code = tenant.devices.by_user_code(typed)
    if code is None:
        return _page(400, problem="That code didn't work. Check the code and try again.", name=name)
    if form.get("action") == "decline":
        tenant.devices.decline(code)
        return _page(200, done="The device was not signed in. You may now close this window.")
    try:
        user = check_password(tenant, name, form.get("password", ""))
    except TokenRefused as refused:
        return _page(400, problem=f"{refused.text} (AADSTS{refused.code})", code=typed, name=name)
    tenant.devices.approve(code, user)
    application = tenant.applications.find(code.client_id)
    shown = application.name if application is not None else code.client_id
    return _page(200, done=f"You have signed in to {shown} on your device. You may now close this window.")


def _page(status: int, *, code: str = "", name: str = "", problem: str = "", done: str = "") -> Answer:
    if done:
        body = f'<p role="status">{escape(done)}</p>'
    else:
        told = f'<p role="alert">{escape(problem)}</p>' if problem else ""
        body = told + _FORM.format(code=escape(code[:64]), name=escape(name[:256]))
    return Answer(status, list(_HEADERS), _PAGE.format(body=body).encode("utf-8", "replace"))

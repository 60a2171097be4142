"""The token endpoint, of version 2.0 and the older one: a form in, tokens or an error in AADSTS words out.

Source: RFC 6749 and the product's pages on its grants. The older endpoint names a ``resource`` where the newer one has
scopes, writes its numbers as texts, and does not sign id tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from simulator.azure_ad.errors import TokenRefused, token_error
from simulator.azure_ad.grants import GRANTS
from simulator.azure_ad.grants.request import Granted, GrantedItself, TokenRequest, authenticate, need
from simulator.azure_ad.scopes import Scope, delegated, read_scope
from simulator.azure_ad.sessions import ACCESS_LIFE, Session
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import TokenIssuer, encode_part
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer, Call, json_answer, read_form

NO_STORE = [("Cache-Control", "no-store"), ("Pragma", "no-cache")]

# MSAL answers an identical request from memory for a minute after a 400, unless the 400 says when to try again.
_RETRY_NOW = [("Retry-After", "0")]

_DEVICE_TEXT = "To sign in, use a web browser to open the page {page} and enter the code {code} to authenticate."


class TokenEndpoint:
    """What a tenant answers to clients that want tokens."""

    def __init__(self, tenant: Tenant, issuer: TokenIssuer, device_page: str) -> None:
        self._tenant = tenant
        self._issuer = issuer
        self._device_page = device_page

    def token(self, call: Call, name: str, version: int) -> Answer:
        """Exchange a grant for tokens. name: the tenant in the path; version: 1 or 2."""
        form: dict[str, str] = {}
        try:
            form = read_body(call)
            kind = need(form, "grant_type")
            grant = GRANTS.get(kind)
            if grant is None:
                text = f"The app requested an unsupported grant type '{kind[:64]}'. Known here: {', '.join(GRANTS)}."
                raise TokenRefused(70003, text, "unsupported_grant_type")
            self.require_tenant(name)
            request = TokenRequest(self._tenant, form, name, version, *authenticate(self._tenant, call, form))
            return json_answer(200, self._issue(request, grant(request)), NO_STORE)
        except TokenRefused as refused:
            return self.refuse(refused, call, form, version)

    def device_code(self, call: Call, name: str, version: int) -> Answer:
        """Begin a device's sign-in (RFC 8628 3.1)."""
        form: dict[str, str] = {}
        try:
            form = read_body(call)
            self.require_tenant(name)
            # A confidential client shows its secret when it asks for the tokens, not here.
            client_id = need(form, "client_id")
            request = TokenRequest(self._tenant, form, name, version, client_id, None)
            code = self._tenant.devices.begin(client_id, request.needed_scope)
        except TokenRefused as refused:
            return self.refuse(refused, call, form, version)
        seconds = [int((code.expires - self._tenant.clock()).total_seconds()), int(code.interval.total_seconds())]
        told = {
            "user_code": code.user_code,
            "device_code": code.device_code,
            ("verification_url" if version == 1 else "verification_uri"): self._device_page,
            "expires_in": str(seconds[0]) if version == 1 else seconds[0],
            "interval": str(seconds[1]) if version == 1 else seconds[1],
            "message": _DEVICE_TEXT.format(page=self._device_page, code=code.user_code),
        }
        return json_answer(200, told, NO_STORE)

    def resolve(self, name: str) -> str | None:
        """The tenant segment of the answer's addresses; None if this tenant does not go by that name."""
        lower = name.lower()
        if lower in ("common", "organizations", "consumers"):
            return lower
        return self._tenant.tenant_id if lower == self._tenant.tenant_id or lower in self._tenant.domains else None

    def require_tenant(self, name: str) -> None:
        """Raises TokenRefused where the path names another tenant."""
        if self.resolve(name) is None:
            raise TokenRefused(90002, f"Tenant '{name[:200]}' not found.", "invalid_request")

    def refuse(self, refused: TokenRefused, call: Call, form: Mapping[str, str], version: int = 2) -> Answer:
        """The answer to what is refused."""
        correlation = call.headers.get("client-request-id") or form.get("client-request-id")
        correlation = correlation or str(self._tenant.randomness.uuid("azure_ad/traces"))
        two_codes = version == 1 and self._tenant.profile.two_codes
        body = token_error(refused, self._tenant.clock(), self._tenant.randomness, correlation, two_codes=two_codes)
        headers = [("WWW-Authenticate", 'Basic realm="login.microsoftonline.com"')] if refused.status == 401 else []
        return json_answer(refused.status, body, [*NO_STORE, *_RETRY_NOW, *headers])

    def _issue(self, request: TokenRequest, granted: Granted | GrantedItself) -> Mapping[str, Any]:
        scope = read_scope(granted.scope)
        if isinstance(granted, GrantedItself):
            token, seconds = self._issuer.application_token(granted.application, scope.resource)
            answer: dict[str, Any] = _lives(seconds) | {"access_token": token}
            return _older(answer, scope, self._tenant.clock().timestamp()) if request.version == 1 else answer
        return self._issue_to(request, granted.user, granted.session, scope)

    def _issue_to(self, request: TokenRequest, user: CloudUser, session: Session, scope: Scope) -> Mapping[str, Any]:
        permissions = delegated(scope, request.application)
        answer = _lives(int(ACCESS_LIFE.total_seconds()))
        answer["scope"] = permissions if request.version == 1 else " ".join(scope.asked)
        answer["access_token"] = self._issuer.access_token(user, session, scope.resource, permissions)
        if "offline_access" in scope.identity:
            answer["refresh_token"] = session.refresh_token
        if "openid" in scope.identity:
            soon = _expires_soon(self._tenant, user)
            answer["id_token"] = self._issuer.id_token(user, session, version=request.version, warn_of=soon)
        if request.form.get("client_info") == "1":
            info = {"uid": user.id, "utid": self._tenant.tenant_id}
            answer["client_info"] = encode_part(json.dumps(info, separators=(",", ":")).encode())
        return _older(answer, scope, self._tenant.clock().timestamp()) if request.version == 1 else answer


def read_body(call: Call) -> dict[str, str]:
    """The form of a request. Raises TokenRefused."""
    try:
        return read_form(call.body)
    except ValueError as error:
        raise TokenRefused(900144, "The request body has too many parameters.", "invalid_request") from error


def _expires_soon(tenant: Tenant, user: CloudUser) -> datetime | None:
    """When the user's password expires, if that is so soon that users are told at sign-in; else None."""
    expires = tenant.expires(user)
    told = expires is not None and expires - tenant.clock() <= tenant.policy_for(user.upn).notice
    return expires if told else None


def _lives(seconds: int) -> dict[str, Any]:
    return {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds}


def _older(answer: dict[str, Any], scope: Scope, now: float) -> dict[str, Any]:
    """An answer as the older endpoint writes it."""
    seconds = answer["expires_in"]
    times = {"expires_in": seconds, "ext_expires_in": seconds, "expires_on": int(now) + seconds, "not_before": int(now)}
    return answer | {name: str(value) for name, value in times.items()} | {"resource": scope.resource}

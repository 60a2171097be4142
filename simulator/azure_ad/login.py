"""login.microsoftonline.com: discovery, the realm of a user, and the token endpoint.

Shapes: what MSAL asks for and reads, and the product's pages on the password grant, refresh tokens and error codes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from simulator.azure_ad.errors import SIGN_IN_TEXTS, TokenRefused, format_time, token_error
from simulator.azure_ad.routes import Routes
from simulator.azure_ad.sessions import ACCESS_LIFE, Session
from simulator.azure_ad.sign_in import AADSTS
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import GRAPH_RESOURCE, TokenIssuer, encode_part, public_keys
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Answer, Call, json_answer, read_form

HOST = "login.microsoftonline.com"

ROUTES = Routes(HOST)
"""What is answered: entered by the methods of :class:`LoginService`, each called with the call and the path's names."""
_IDENTITY_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})
_NO_STORE = [("Cache-Control", "no-store"), ("Pragma", "no-cache")]

# MSAL answers an identical request from memory for a minute after a 400, unless the 400 says when to try again.
_RETRY_NOW = [("Retry-After", "0")]


class LoginService:
    """The sign-in host of one tenant."""

    def __init__(self, tenant: Tenant, issuer: TokenIssuer) -> None:
        self._tenant = tenant
        self._issuer = issuer

    def handle(self, call: Call) -> Answer:
        """Answer a call to this host."""
        found = ROUTES.find(call.method, call.path)
        if found is None:
            return self._unknown(call)
        route, names = found
        return route.handle(self, call, **names)

    def _unknown(self, call: Call) -> Answer:
        methods = ROUTES.methods(call.path)
        if methods:
            text = f"The endpoint only accepts {' and '.join(methods)} requests. Received a {call.method} request."
            return self._refuse(TokenRefused(900561, text, "invalid_request"), call, {})
        text = ROUTES.explain(call.method, call.path)
        return json_answer(404, {"error": "unknown_call", "error_description": text, "error_codes": []}, _NO_STORE)

    @ROUTES.on("GET", "/{tenant}/discovery/v2.0/keys", "the keys that tokens are signed with")
    @ROUTES.on("GET", "/{tenant}/discovery/keys", "the same at the older address")
    def _keys(self, call: Call, tenant: str) -> Answer:
        return json_answer(200, {"keys": public_keys()})

    @ROUTES.on("GET", "/{tenant}/v2.0/.well-known/openid-configuration", "OpenID Connect discovery")
    @ROUTES.on("GET", "/{tenant}/.well-known/openid-configuration", "the same at the older address")
    def _configuration(self, call: Call, tenant: str) -> Answer:
        resolved = self._resolve(tenant)
        if resolved is None:
            refused = TokenRefused(90002, f"Tenant '{tenant}' not found.", "invalid_tenant")
            return self._refuse(refused, call, {})
        base = f"https://{HOST}/{resolved}"
        return json_answer(
            200,
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": sorted(_IDENTITY_SCOPES),
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
                "tenant_region_scope": "EU",
                "cloud_instance_name": "microsoftonline.com",
                "cloud_graph_host_name": "graph.windows.net",
                "msgraph_host": "graph.microsoft.com",
            },
        )

    @ROUTES.on("GET", "/common/discovery/instance", "which hosts are one cloud")
    def _instance(self, call: Call) -> Answer:
        asked = urlsplit(call.query.get("authorization_endpoint", "")).path.strip("/").split("/")[0]
        document = f"https://{HOST}/{asked or 'common'}/v2.0/.well-known/openid-configuration"
        aliases = ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"]
        metadata = {"preferred_network": HOST, "preferred_cache": "login.windows.net", "aliases": aliases}
        return json_answer(200, {"tenant_discovery_endpoint": document, "api-version": "1.1", "metadata": [metadata]})

    @ROUTES.on("GET", "/common/userrealm/{upn}", "managed or federated")
    def _user_realm(self, call: Call, upn: str) -> Answer:
        return json_answer(200, self._realm(upn))

    def _realm(self, upn: str) -> Mapping[str, Any]:
        domain = upn.rpartition("@")[2]
        cloud = {"cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"}
        trust = self._tenant.federated_domains.trust(domain)
        if trust is not None:
            return {
                "ver": "1.0",
                "account_type": "Federated",
                "domain_name": domain,
                "federation_protocol": "WSTrust",
                "federation_metadata_url": trust.metadata_url,
                "federation_active_auth_url": trust.sign_in_url,
                **cloud,
            }
        if self._tenant.find_by_upn(upn) is None and domain.lower() != self._tenant.tenant_domain.lower():
            return {"ver": "1.0", "account_type": "Unknown", **cloud}
        return {"ver": "1.0", "account_type": "Managed", "domain_name": domain, **cloud}

    @ROUTES.on("POST", "/{tenant}/oauth2/v2.0/token", "the grants below")
    def _token(self, call: Call, tenant: str) -> Answer:
        form: dict[str, str] = {}
        try:
            form = _read_body(call.body)
            return json_answer(200, self._grant(tenant, form), _NO_STORE)
        except TokenRefused as refused:
            return self._refuse(refused, call, form)

    def _grant(self, name: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        kind = _need(form, "grant_type")
        grant = GRANTS.get(kind)
        if grant is None:
            text = f"The app requested an unsupported grant type '{kind[:64]}'. Known here: {', '.join(GRANTS)}."
            raise TokenRefused(70003, text, "unsupported_grant_type")
        client_id = _need(form, "client_id")
        if kind == "password" and name in ("common", "consumers"):
            text = (
                "The grant type is not supported over the /common or /consumers endpoints. "
                "Please use the /organizations or tenant-specific endpoint."
            )
            raise TokenRefused(9001023, text, "invalid_request")
        if self._resolve(name) is None:
            raise TokenRefused(90002, f"Tenant '{name}' not found.", "invalid_request")
        return self._issue(*grant(self, form, client_id), form)

    def _sign_in(self, form: Mapping[str, str], client_id: str) -> tuple[CloudUser, Session]:
        _need(form, "scope")
        upn, password = _need(form, "username"), _need(form, "password")
        if self._tenant.is_federated(upn):
            # The cloud does not look at a federated user's password; which code it gives here is unconfirmed.
            raise TokenRefused(AADSTS["wrong-password"], SIGN_IN_TEXTS["wrong-password"])
        found = self._tenant.sign_in(upn, password)
        if found.user is None or found.result != "ok":
            text = SIGN_IN_TEXTS[found.result].replace("{upn}", upn).replace("{tenant}", self._tenant.tenant_id)
            raise TokenRefused(found.aadsts, text)
        return found.user, self._tenant.open_session(found.user, client_id)

    def _refresh(self, form: Mapping[str, str], client_id: str) -> tuple[CloudUser, Session]:
        session = self._tenant.find_session(_need(form, "refresh_token"))
        if session is None or session.client_id != client_id:
            raise TokenRefused(9002313, "Invalid request. Request is malformed or invalid.")
        user = self._tenant.users.by_id(session.user_id)
        state = self._tenant.session_state(session)[1]
        if state == "expired":
            text = (
                f"The refresh token has expired due to inactivity. The token was issued on "
                f"{format_time(session.issued_at)} and was inactive for 90.00:00:00."
            )
            raise TokenRefused(700082, text)
        if user is None:
            text = SIGN_IN_TEXTS["unknown-user"].format(upn=session.user_id, tenant=self._tenant.tenant_id)
            raise TokenRefused(AADSTS["unknown-user"], text)
        if not user.enabled:
            raise TokenRefused(AADSTS["disabled"], SIGN_IN_TEXTS["disabled"])
        if self._tenant.refresh(session) == "revoked":
            raise TokenRefused(50173, _revoked_text(session, user))
        return user, session

    def _issue(self, user: CloudUser, session: Session, form: Mapping[str, str]) -> Mapping[str, Any]:
        asked = form.get("scope", "").split()
        resource, scopes = _resource(asked)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(scope for scope in asked if scope not in _IDENTITY_SCOPES),
            "expires_in": int(ACCESS_LIFE.total_seconds()),
            "ext_expires_in": int(ACCESS_LIFE.total_seconds()),
            "access_token": self._issuer.access_token(user, session, resource, scopes),
        }
        if "offline_access" in asked:
            answer["refresh_token"] = session.refresh_token
        if "openid" in asked:
            answer["id_token"] = self._issuer.id_token(user, session)
        if form.get("client_info") == "1":
            info = {"uid": user.id, "utid": self._tenant.tenant_id}
            answer["client_info"] = encode_part(json.dumps(info, separators=(",", ":")).encode())
        return answer

    def _resolve(self, name: str) -> str | None:
        """The tenant segment of the answer's addresses; None if this tenant does not go by that name."""
        lower = name.lower()
        if lower in (self._tenant.tenant_id, self._tenant.tenant_domain.lower()):
            return self._tenant.tenant_id
        return lower if lower in ("common", "organizations", "consumers") else None

    def _refuse(self, refused: TokenRefused, call: Call, form: Mapping[str, str]) -> Answer:
        correlation = call.headers.get("client-request-id") or form.get("client-request-id")
        correlation = correlation or str(self._tenant.randomness.uuid("azure_ad/traces"))
        body = token_error(refused, self._tenant.clock(), self._tenant.randomness, correlation)
        return json_answer(400, body, [*_NO_STORE, *_RETRY_NOW])


GRANTS: Mapping[str, Callable[[LoginService, Mapping[str, str], str], tuple[CloudUser, Session]]] = {
    "password": LoginService._sign_in,
    "refresh_token": LoginService._refresh,
}
"""What the token endpoint exchanges for tokens, by ``grant_type``."""


def _read_body(body: bytes) -> dict[str, str]:
    try:
        return read_form(body)
    except ValueError as error:
        raise TokenRefused(900144, "The request body has too many parameters.", "invalid_request") from error


def _need(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        text = f"The request body must contain the following parameter: '{name}'."
        raise TokenRefused(900144, text, "invalid_request")
    return value


def _resource(asked: list[str]) -> tuple[str, str]:
    """The audience that the scopes name (Graph, if none does), and the scopes without it."""
    named = [scope for scope in asked if scope not in _IDENTITY_SCOPES]
    resource = next((scope.rpartition("/")[0].rstrip("/") for scope in named if "://" in scope), GRAPH_RESOURCE)
    short = [scope.rpartition("/")[2] for scope in named]
    return resource, " ".join("user_impersonation" if scope == ".default" else scope for scope in short)


def _revoked_text(session: Session, user: CloudUser) -> str:
    valid_from = user.tokens_valid_from or session.issued_at
    return (
        "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have "
        f"changed or reset their password. The grant was issued on '{_instant(session.issued_at)}' and the "
        f"TokensValidFrom date (before which tokens are not valid) for this user is '{_instant(valid_from)}'."
    )


def _instant(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S}.0000000Z"

"""login.microsoftonline.com: discovery, the realm of a user, and the ways to the token endpoints.

Shapes: what MSAL asks for and reads, and the product's pages on OpenID Connect discovery and on error codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from simulator.azure_ad.device_page import answer_page, show_page
from simulator.azure_ad.errors import TokenRefused
from simulator.azure_ad.grants import GRANTS
from simulator.azure_ad.routes import Routes
from simulator.azure_ad.scopes import IDENTITY
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.token_endpoint import NO_STORE, TokenEndpoint
from simulator.azure_ad.tokens import TokenIssuer, public_keys
from simulator.azure_ad.wire import Answer, Call, json_answer

__all__ = ["GRANTS", "HOST", "ROUTES", "LoginService"]

HOST = "login.microsoftonline.com"

DEVICE_PATH = "/device"
ROUTES = Routes(HOST)
"""What is answered: entered by the methods of :class:`LoginService`, each called with the call and the path's names."""


class LoginService:
    """The sign-in host of one tenant."""

    def __init__(self, tenant: Tenant, issuer: TokenIssuer) -> None:
        self._tenant = tenant
        self._endpoint = TokenEndpoint(tenant, issuer, f"https://{HOST}{DEVICE_PATH}")

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
            return self._endpoint.refuse(TokenRefused(900561, text, "invalid_request"), call, {})
        text = ROUTES.explain(call.method, call.path)
        return json_answer(404, {"error": "unknown_call", "error_description": text, "error_codes": []}, NO_STORE)

    @ROUTES.on("GET", "/{tenant}/discovery/v2.0/keys", "the keys that tokens are signed with")
    @ROUTES.on("GET", "/{tenant}/discovery/keys", "the same at the older address")
    def _keys(self, call: Call, tenant: str) -> Answer:
        return json_answer(200, {"keys": public_keys()})

    @ROUTES.on("GET", "/{tenant}/v2.0/.well-known/openid-configuration", "OpenID Connect discovery")
    def _configuration(self, call: Call, tenant: str) -> Answer:
        return self._describe(call, tenant, "/oauth2/v2.0", "/discovery/v2.0/keys", f"https://{HOST}/{{}}/v2.0")

    @ROUTES.on("GET", "/{tenant}/.well-known/openid-configuration", "the same of the older endpoint")
    def _older_configuration(self, call: Call, tenant: str) -> Answer:
        return self._describe(call, tenant, "/oauth2", "/discovery/keys", "https://sts.windows.net/{}/")

    def _describe(self, call: Call, name: str, endpoints: str, keys: str, issuer: str) -> Answer:
        resolved = self._endpoint.resolve(name)
        if resolved is None:
            refused = TokenRefused(90002, f"Tenant '{name}' not found.", "invalid_tenant")
            return self._endpoint.refuse(refused, call, {})
        base = f"https://{HOST}/{resolved}"
        return json_answer(
            200,
            {
                "token_endpoint": f"{base}{endpoints}/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
                "jwks_uri": f"{base}{keys}",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": sorted(IDENTITY),
                # Of several tenants' endpoint the issuer is a pattern.
                "issuer": issuer.format(resolved if resolved == self._tenant.tenant_id else "{tenantid}"),
                "authorization_endpoint": f"{base}{endpoints}/authorize",
                "device_authorization_endpoint": f"{base}{endpoints}/devicecode",
                "end_session_endpoint": f"{base}{endpoints}/logout",
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
        return self._endpoint.token(call, tenant, 2)

    @ROUTES.on("POST", "/{tenant}/oauth2/token", "the same at the older endpoint: resource in place of scope")
    def _older_token(self, call: Call, tenant: str) -> Answer:
        return self._endpoint.token(call, tenant, 1)

    @ROUTES.on("POST", "/{tenant}/oauth2/v2.0/devicecode", "codes for a device that has no browser")
    def _device_code(self, call: Call, tenant: str) -> Answer:
        return self._endpoint.device_code(call, tenant, 2)

    @ROUTES.on("POST", "/{tenant}/oauth2/devicecode", "the same at the older endpoint")
    def _older_device_code(self, call: Call, tenant: str) -> Answer:
        return self._endpoint.device_code(call, tenant, 1)

    @ROUTES.on("GET", DEVICE_PATH, "the page where a person types a device's code")
    def _show_device_page(self, call: Call) -> Answer:
        return show_page(call)

    @ROUTES.on("POST", DEVICE_PATH, "its form: user_code, username, password")
    def _answer_device_page(self, call: Call) -> Answer:
        return answer_page(self._tenant, call)

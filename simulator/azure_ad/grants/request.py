"""A request for tokens as the grants read it, and the client that sends it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_plus

from simulator.azure_ad.applications import Application
from simulator.azure_ad.errors import TokenRefused
from simulator.azure_ad.scopes import of_resource, read_scope
from simulator.azure_ad.sessions import Session
from simulator.azure_ad.state import Tenant
from simulator.azure_ad.tokens import DIRECTORY_RESOURCE
from simulator.azure_ad.users import CloudUser
from simulator.azure_ad.wire import Call

_CLIENT_REFUSED = 401


class Granted(NamedTuple):
    """Whom the tokens are for: a user in a session. scope: what for."""

    user: CloudUser
    session: Session
    scope: str


class GrantedItself(NamedTuple):
    """The token is for the application itself."""

    application: Application
    scope: str


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to a token endpoint. name: the tenant in its path. version: 1 or 2, the endpoint's. application: None
    for a public client that nobody has registered."""

    tenant: Tenant
    form: Mapping[str, str]
    name: str
    version: int
    client_id: str
    application: Application | None

    @property
    def scope(self) -> str:
        """What tokens are asked for; empty if the request does not say."""
        scope = self.form.get("scope", "")
        if self.version == 1:
            resource = self.form.get("resource")
            return of_resource(resource, "openid" in scope.split()) if resource else ""
        return scope

    @property
    def needed_scope(self) -> str:
        """The same, where it has to be said and make sense; the older endpoint has a default. Raises TokenRefused."""
        if self.version == 1:
            scope = self.scope or of_resource(DIRECTORY_RESOURCE, "openid" in self.form.get("scope", "").split())
        else:
            scope = self.need("scope")
        read_scope(scope)
        return scope

    @property
    def confidential(self) -> bool:
        """Whether the client has shown a secret: one that was registered with one has to."""
        return self.application is not None and self.application.confidential

    def need(self, name: str) -> str:
        """A field that must be there. Raises TokenRefused."""
        return need(self.form, name)


def need(form: Mapping[str, str], name: str) -> str:
    """A field of a form that must be there. Raises TokenRefused."""
    value = form.get(name)
    if not value:
        text = f"The request body must contain the following parameter: '{name}'."
        raise TokenRefused(900144, text, "invalid_request")
    return value


def authenticate(tenant: Tenant, call: Call, form: Mapping[str, str]) -> tuple[str, Application | None]:
    """The client's id, and its registration if it has one. Raises TokenRefused.

    A client with a secret shows it in the form or by HTTP Basic (RFC 6749 2.3.1). Certificates are not known here: an
    assertion is answered as the service answers one whose key it does not have.
    """
    basic_id, basic_secret = _basic(call)
    client_id = basic_id or need(form, "client_id")
    secret = basic_secret or form.get("client_secret", "")
    application = tenant.applications.find(client_id)
    if application is None and (
        secret or form.get("grant_type") == "client_credentials" or not tenant.applications.knows(client_id)
    ):
        raise TokenRefused(
            700016,
            f"Application with identifier '{client_id[:200]}' was not found in the directory '{tenant.tenant_id}'. "
            "This can happen if the application has not been installed by the administrator of the tenant or consented "
            "to by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
            "unauthorized_client",
        )
    if application is not None:
        _check_secret(tenant, application, secret, form)
    return client_id, application


def _check_secret(tenant: Tenant, application: Application, secret: str, form: Mapping[str, str]) -> None:
    if form.get("client_assertion"):
        text = "Client assertion failed signature validation. [Reason - The key was not found.]"
        raise TokenRefused(700027, text, "invalid_client", status=_CLIENT_REFUSED)
    if not application.confidential:
        if secret:
            text = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
            raise TokenRefused(700025, text, "invalid_client", status=_CLIENT_REFUSED)
        return
    if not secret:
        text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        raise TokenRefused(7000218, text, "invalid_client", status=_CLIENT_REFUSED)
    state = application.secret_state(secret, tenant.clock())
    if state == "wrong":
        text = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            f"not the client secret ID, for a secret added to app '{application.id}'."
        )
        raise TokenRefused(7000215, text, "invalid_client", status=_CLIENT_REFUSED)
    if state == "expired":
        text = f"The provided client secret keys for app '{application.id}' are expired."
        raise TokenRefused(7000222, text, "invalid_client", status=_CLIENT_REFUSED)


def _basic(call: Call) -> tuple[str, str]:
    """Id and secret of an Authorization header; empty if there is none that can be read."""
    kind, _, value = call.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        text = b64decode(value.strip(), validate=True).decode("utf-8")
    except ValueError:
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)

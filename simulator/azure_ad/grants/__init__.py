"""What the token endpoint exchanges for tokens: a module for each kind of grant, and the table of them.

A grant is a function of a :class:`~simulator.azure_ad.grants.request.TokenRequest` whose client has shown who it is. It
returns whom the tokens are for, or raises TokenRefused; nothing but what the grant itself counts has changed then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.azure_ad import federated_grant
from simulator.azure_ad.grants.client_credentials import grant_client_credentials
from simulator.azure_ad.grants.device_code import grant_device_code
from simulator.azure_ad.grants.password import grant_password
from simulator.azure_ad.grants.refresh_token import grant_refresh_token
from simulator.azure_ad.grants.request import Granted, GrantedItself, TokenRequest
from simulator.azure_ad.grants.saml_bearer import grant_saml_bearer

GRANTS: Mapping[str, Callable[[TokenRequest], Granted | GrantedItself]] = {
    "password": grant_password,
    "refresh_token": grant_refresh_token,
    "client_credentials": grant_client_credentials,
    "urn:ietf:params:oauth:grant-type:device_code": grant_device_code,
    **dict.fromkeys(federated_grant.KINDS, grant_saml_bearer),
    "device_code": grant_device_code,  # as the older endpoint calls it
}
"""By ``grant_type``."""

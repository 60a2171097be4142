"""The provisioning service, which the sync agent talks to: SOAP 1.2 in .NET binary XML.

The service has no public specification; operations and faults are those that public clients know. What nobody has
published (HTTP status of each fault, the text for too large a batch, how a call over a limit is refused) is modelled
simply and is unconfirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple
from uuid import UUID
from xml.etree.ElementTree import Element

from pwsync.errors import BinaryXmlError
from pwsync.tenant import batch, binary_xml, company, operations
from pwsync.tenant.messages import (
    COEXISTENCE,
    CONTENT_TYPE,
    PREFIXES,
    SERVICE,
    XSI,
    CompanyConfiguration,
    CredentialItem,
    CredentialResult,
    Request,
    SecretsConfiguration,
    add,
    element,
    fault_envelope,
    response_envelope,
)
from simulator.azure_ad.passwords import FORCE_CHANGE, POLICY_FOR_SYNCED
from simulator.azure_ad.read_back import read_back, write_page
from simulator.azure_ad.state import PASSWORD_SYNC, Tenant
from simulator.azure_ad.tokens import DIRECTORY_RESOURCE, ROLE_TEMPLATES, InvalidToken, TokenIssuer
from simulator.azure_ad.wire import Answer, Call
from simulator.refusal import Refusal

HOST = "adminwebservice.microsoftonline.com"
REGIONAL_HOST = "adminwebservice-s1-co2.microsoftonline.com"
PATH = "/provisioningservice.svc"
REGIONAL_URL = f"https://{REGIONAL_HOST}{PATH}"

ITEM_RESULTS = "pwsync.item_results"
"""WSGI environment key: source anchor -> result code for items that are answered so and not applied."""

DECODED = "pwsync.request"
"""WSGI environment key: the request in the body, already read by whoever hands it on; None if it was not.

Either a Request with its whole body, or what :func:`pwsync.tenant.batch.decode_request` makes of the bytes.
"""

CREDENTIALS = "ProvisionCredentials"
CREDENTIALS_MAX = 50
"""Most credentials that one call may carry; the service's own limit, whatever an agent believes."""

SERVER = "SIMULATED01"

_BITS = {
    PASSWORD_SYNC: company.FEATURES["PasswordHashSync"],
    POLICY_FOR_SYNCED: company.FEATURES["EnforceCloudPasswordPolicyForPasswordSyncedUsers"],
    FORCE_CHANGE: company.FEATURES["EnableUserForcePasswordChangeOnLogon"],
}
_HEADERS = [("Content-Type", CONTENT_TYPE)]
_FEATURES_MAX = 2**31 - 1
_CAPABILITIES = (
    "<ServiceCapability><MicrosoftOnline><Protocol><Application><LatestProductVersion>{latest}</LatestProductVersion>"
    "<MinimumProductVersion>{oldest}</MinimumProductVersion>"
    '<BlackList Enabled="false"><ClientVersion>1.0</ClientVersion></BlackList>'
    "</Application></Protocol></MicrosoftOnline></ServiceCapability>"
)
_ROLES = frozenset(ROLE_TEMPLATES.values())


@dataclass(frozen=True, slots=True)
class _Fault:
    text: str
    code: int | None = None
    redirect: str | None = None


FAULTS: Mapping[str, _Fault] = {
    "81": _Fault(
        "Windows Azure Active Directory is currently busy. This operation will be retried automatically.", code=81
    ),
    "90": _Fault("Password Synchronization has not been activated for this company.", code=90),
    "denied": _Fault("Access to Azure Active Directory has been denied. Contact Technical Support."),
    "redirect": _Fault("The call has to go to another endpoint.", redirect=REGIONAL_URL),
    "not-activated": _Fault("Identity synchronization is not yet activated for this company."),
    "old-build": _Fault("This version of the synchronization client is no longer supported. Install the latest one."),
    "deletions": _Fault("The call would delete more objects than the prevention of accidental deletes allows."),
}
"""Faults of a whole call, by the words of the scenario format, and those that the tenant's conditions bring about."""


def fault_response(kind: str, *, tracking_id: str = "") -> Answer:
    """The answer (status, headers, body) for a fault of :data:`FAULTS`. Raises KeyError for another word."""
    fault = FAULTS[kind]
    tree = fault_envelope(fault.text, code=fault.code, tracking_id=tracking_id, server=SERVER, redirect=fault.redirect)
    return _answer(500, tree)


class Asked(NamedTuple):
    """A call that was read. items: of ProvisionCredentials. forced: results that the world wants for anchors."""

    request: Request
    items: list[CredentialItem]
    forced: Mapping[str, int]


class Operation(NamedTuple):
    """One of the service's operations; ``about``: what it is good for."""

    handle: Callable[[ProvisioningService, Asked], bytes]
    about: str


OPERATIONS: dict[str, Operation] = {}
"""What is answered, by name: entered by the methods of :class:`ProvisioningService`."""

_Handler = Callable[["ProvisioningService", Asked], bytes]


def _operation(name: str, about: str) -> Callable[[_Handler], _Handler]:
    def enter(handle: _Handler) -> _Handler:
        OPERATIONS[name] = Operation(handle, about)
        return handle

    return enter


class ProvisioningService:
    """The service of one tenant. Every request is read as a whole before anything of it is applied."""

    def __init__(self, tenant: Tenant, issuer: TokenIssuer) -> None:
        self._tenant = tenant
        self._issuer = issuer

    def handle(self, call: Call) -> Answer:
        """Answer a call to this host."""
        if call.path.lower() != PATH:
            return _bad(404, f"There is nothing at {call.path[:200]!r}. The service is at POST {PATH}. {_known('')}")
        if call.method != "POST":
            return _bad(405, f"The service only takes POST, not {call.method[:20]!r}. {_known('')}", ("Allow", "POST"))
        content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != CONTENT_TYPE:
            return _bad(415, f"The content type {content_type[:100]!r} was not the expected type {CONTENT_TYPE!r}.")
        try:
            request, items = _read(call)
        except BinaryXmlError as error:
            return _bad(400, f"The request could not be read: {error}.")
        return self._answer(Asked(request, items, call.environ.get(ITEM_RESULTS) or {}))

    def _answer(self, asked: Asked) -> Answer:
        name, tracking_id = asked.request.operation, asked.request.header.tracking_id
        operation = OPERATIONS.get(name)
        if operation is None:
            return _bad(500, f"There is no operation {name[:200]!r} here. {_known(name)}", tracking_id=tracking_id)
        if asked.request.body.tag != f"{{{SERVICE}}}{name}":
            text = f"The action is {name}, the body {asked.request.body.tag[:200]}."
            return _bad(400, text, tracking_id=tracking_id)
        if not self._permitted(asked.request.header.token):
            return fault_response("denied", tracking_id=str(tracking_id))
        try:
            self._tenant.synchronization.admit(asked.request.header.build)
            return Answer(200, _HEADERS, operation.handle(self, asked))
        except BinaryXmlError as error:
            return _bad(400, f"The request could not be read: {error}.", tracking_id=tracking_id)
        except Refusal as refusal:
            fault = str(refusal.data.get("fault"))
            if fault in FAULTS:
                return fault_response(fault, tracking_id=str(tracking_id))
            return _bad(500, refusal.detail, tracking_id=tracking_id)

    def _permitted(self, token: str) -> bool:
        try:
            roles = self._issuer.check(token, DIRECTORY_RESOURCE).get("wids")
        except InvalidToken:
            return False
        return isinstance(roles, list) and not _ROLES.isdisjoint(role for role in roles if isinstance(role, str))

    @_operation(CREDENTIALS, "up to 50 password changes, a result for each; none of them: a ping")
    def _credentials(self, asked: Asked) -> bytes:
        if len(asked.items) > CREDENTIALS_MAX:
            raise Refusal("not-supported", f"At most {CREDENTIALS_MAX} credentials in a call, got {len(asked.items)}.")
        self._tenant.require_password_sync()
        self._tenant.synchronization.count_writes(len(asked.items))
        # A call without items is taken as the heartbeat (unconfirmed).
        self._tenant.contact(ping=not asked.items)
        results = [self._credential(item, asked.forced) for item in asked.items]
        return batch.encode_results(results, asked.request.header.tracking_id)

    def _credential(self, item: CredentialItem, forced: Mapping[str, int]) -> CredentialResult:
        if item.source_anchor is not None and item.source_anchor in forced:
            return CredentialResult(item.source_anchor, item.cloud_anchor, forced[item.source_anchor])
        return self._tenant.apply_credential(item)

    @_operation("ProvisionAzureADSyncObjects", "set, add or delete objects, a result for each")
    @_operation("ProvisionAzureADSyncObjects2", "the same")
    def _objects(self, asked: Asked) -> bytes:
        objects = operations.read_objects(asked.request.body)
        conditions = self._tenant.synchronization
        conditions.count_deletions(sum(obj.operation == "Delete" for obj in objects))
        conditions.count_writes(len(objects))
        body = operations.write_objects_result([self._tenant.apply_object(obj) for obj in objects])
        if asked.request.operation.endswith("2"):
            body.tag = body.tag.replace("ObjectsResponse", "Objects2Response")
            body[0].tag = body[0].tag.replace("ObjectsResult", "Objects2Result")
        return _result(asked.request, body)

    @_operation("ReadBackAzureADSyncObjects2", "synchronized objects as the tenant has them, all or since a cookie")
    def _read_back(self, asked: Asked) -> bytes:
        arguments = company.read_call(asked.request.body)
        operations.read_boolean((arguments.get("includeLicenseInformation") or "false").lower())
        full = operations.read_boolean((arguments.get("isFullSync") or "false").lower())
        page = read_back(self._tenant, arguments.get("inputCookie") or None, full=full)
        return _result(asked.request, write_page(asked.request.operation, page))

    @_operation("FinalizeExport", "an export is over")
    def _finalize(self, asked: Asked) -> bytes:
        arguments = company.read_call(asked.request.body)
        counts = [operations.read_integer(arguments.get(name)) for name in ("totalExported", "successfulExportCount")]
        self._tenant.synchronization.finish_export(*counts)
        return _result(asked.request, company.write_empty_result(asked.request.operation))

    @_operation("Capabilities", "which builds of the agent are taken")
    def _capabilities(self, asked: Asked) -> bytes:
        """The result is an XML document as text; parts beyond those that public clients read are unconfirmed."""
        oldest = ".".join(map(str, self._tenant.synchronization.minimum_build))
        text = _CAPABILITIES.format(oldest=oldest, latest=self._tenant.profile.build.number)
        return _result(asked.request, company.write_value_result(asked.request.operation, text))

    @_operation("GetServiceAccount", "a synchronization account with a new password")
    def _service_account(self, asked: Asked) -> bytes:
        identifier = company.read_call(asked.request.body).get("identifier") or ""
        name, password = self._tenant.service_account(identifier)
        root = element(SERVICE, f"{asked.request.operation}Response")
        found = add(root, SERVICE, f"{asked.request.operation}Result")
        found.attrib.update({"xmlns:b": COEXISTENCE, "xmlns:i": XSI})
        add(found, COEXISTENCE, "Password", password)
        add(found, COEXISTENCE, "UserName", name)
        return _result(asked.request, root)

    @_operation("GetMonitoringTenantCertificate", "nil: nobody monitors this tenant")
    def _monitoring(self, asked: Asked) -> bytes:
        return _result(asked.request, company.write_empty_result(asked.request.operation))

    @_operation("GetCompanyConfiguration", "what the tenant says about itself")
    def _configuration(self, asked: Asked) -> bytes:
        conditions = self._tenant.synchronization
        bits = self._tenant.other_features
        for name in self._tenant.features:
            bits |= _BITS[name]
        body = company.write_company_configuration(
            CompanyConfiguration(
                tenant_id=self._tenant.tenant_id,
                display_name=self._tenant.tenant_domain.partition(".")[0].capitalize(),
                client_version=asked.request.header.client_version,
                machine="SYNC01",
                total_connector_space_objects=self._tenant.users.synchronized,
                deletion_prevention="Disabled" if conditions.deletions_max is None else "EnabledForCount",
                deletion_threshold_count=conditions.deletions_max or 0,
                dirsync_features=bits,
                is_dir_syncing=conditions.enabled,
                is_password_syncing=PASSWORD_SYNC in self._tenant.features,
            )
        )
        return _result(asked.request, body)

    @_operation("GetWindowsCredentialsSyncConfig", "which secrets Domain Services wants, and their certificate")
    def _secrets_configuration(self, asked: Asked) -> bytes:
        """Secrets for Domain Services are wanted while it is on; else there is no certificate to seal them for."""
        wanted = SecretsConfiguration()
        if self._tenant.domain_services is not None:
            from simulator.domain_services.secret_key import certificate

            wanted = SecretsConfiguration(True, True, certificate())
        return _result(asked.request, company.write_secrets_configuration(wanted))

    @_operation("SetCompanyDirsyncFeatures", "switch the tenant's features")
    def _features(self, asked: Asked) -> bytes:
        bits = operations.read_integer(company.read_call(asked.request.body).get("dirsyncFeatures"))
        if not 0 <= bits <= _FEATURES_MAX:
            raise BinaryXmlError(f"not the message expected: {bits} is no sum of features")
        for name, bit in _BITS.items():
            self._tenant.set_feature(name, bool(bits & bit))
        self._tenant.other_features = bits & ~sum(_BITS.values())
        return _result(asked.request, company.write_empty_result(asked.request.operation))


def _read(call: Call) -> tuple[Request, list[CredentialItem]]:
    given: Request | tuple[Request, list[CredentialItem]] | None = call.environ.get(DECODED)
    if given is None:
        return batch.decode_request(call.body)
    if isinstance(given, Request):
        return given, operations.read_credentials(given.body) if given.operation == CREDENTIALS else []
    return given


def _result(request: Request, body: Element) -> bytes:
    tree = response_envelope(request.operation, body, request.header.tracking_id)
    return binary_xml.encode(tree, PREFIXES)


def _known(name: str) -> str:
    """What the service has, and which of it comes nearest to a name."""
    nearest = get_close_matches(name[:100], OPERATIONS, n=1, cutoff=0.5)
    return f"{f'The nearest is {nearest[0]}. ' if nearest else ''}Known: {', '.join(OPERATIONS)}."


def _bad(status: int, text: str, *headers: tuple[str, str], tracking_id: UUID | None = None) -> Answer:
    tracking = "" if tracking_id is None else str(tracking_id)
    answer = _answer(status, fault_envelope(text, tracking_id=tracking, server=SERVER, sender=True))
    return answer._replace(headers=[*answer.headers, *headers])


def _answer(status: int, tree: Element) -> Answer:
    return Answer(status, _HEADERS, binary_xml.encode(tree, PREFIXES))

"""Bodies of the provisioning service's smaller operations: the company's configuration, features, the end of an export.

The same pattern as :mod:`pwsync.tenant.operations`, with one writer for all requests that carry plain arguments.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from xml.etree.ElementTree import Element

from pwsync.errors import BinaryXmlError
from pwsync.tenant.messages import (
    COEXISTENCE,
    SERVICE,
    XSI,
    CompanyConfiguration,
    SecretsConfiguration,
    add,
    add_nillable,
    element,
    require,
    text_of,
)
from pwsync.tenant.operations import read_boolean, read_integer

FEATURES: dict[str, int] = {
    "PasswordHashSync": 1,
    "PasswordWriteBack": 2,
    "DirectoryExtensions": 4,
    "DuplicateUPNResiliency": 8,
    "EnableSoftMatchOnUpn": 16,
    "DuplicateProxyAddressResiliency": 32,
    "EnforceCloudPasswordPolicyForPasswordSyncedUsers": 512,
    "UnifiedGroupWriteback": 1024,
    "UserWriteback": 2048,
    "DeviceWriteback": 4096,
    "SynchronizeUpnForManagedUsers": 8192,
    "EnableUserForcePasswordChangeOnLogon": 16384,
    "PassThroughAuthentication": 131072,
    "BlockSoftMatch": 524288,
    "BlockCloudObjectTakeoverThroughHardMatch": 1048576,
}
"""Names and bits of the tenant's synchronization features, as public clients of the service know them."""

Argument = str | int | bool | None


def write_call(operation: str, **arguments: Argument) -> Element:
    """A request whose arguments are plain values, in the order given."""
    root = element(SERVICE, operation)
    for name, value in arguments.items():
        text = ("true" if value else "false") if isinstance(value, bool) else None if value is None else str(value)
        add_nillable(root, SERVICE, name, text)
    return root


def read_call(body: Element) -> dict[str, str | None]:
    """The plain arguments of a request by name; None for nil."""
    return {child.tag.rpartition("}")[2]: text_of(body, SERVICE, child.tag.rpartition("}")[2]) for child in body}


def write_empty_result(operation: str) -> Element:
    """The answer of an operation that says nothing but that it was done."""
    root = element(SERVICE, operation + "Response")
    add_nillable(root, SERVICE, operation + "Result", None)
    return root


def write_value_result(operation: str, value: Argument) -> Element:
    """The answer of an operation whose result is one plain value."""
    root = element(SERVICE, operation + "Response")
    text = ("true" if value else "false") if isinstance(value, bool) else None if value is None else str(value)
    add_nillable(root, SERVICE, operation + "Result", text)
    return root


def write_company_configuration(company: CompanyConfiguration) -> Element:
    """The answer to GetCompanyConfiguration."""
    root = element(SERVICE, "GetCompanyConfigurationResponse")
    answer = add(root, SERVICE, "GetCompanyConfigurationResult")
    answer.attrib.update({"xmlns:b": COEXISTENCE, "xmlns:i": XSI})
    add(answer, COEXISTENCE, "AllowedFeatures", company.allowed_features)
    _add_configuration(add(answer, COEXISTENCE, "DirSyncConfiguration"), company)
    add(answer, COEXISTENCE, "DirSyncFeatures", str(company.dirsync_features))
    add(answer, COEXISTENCE, "DisplayName", company.display_name)
    add(answer, COEXISTENCE, "IsDirSyncing", _text(company.is_dir_syncing))
    add(answer, COEXISTENCE, "IsPasswordSyncing", _text(company.is_password_syncing))
    add(answer, COEXISTENCE, "MaxLinksSupportedAcrossBatchInProvision2", str(company.links_max))
    add(answer, COEXISTENCE, "SynchronizationInterval", company.synchronization_interval)
    add(answer, COEXISTENCE, "TenantId", company.tenant_id)
    return root


def _add_configuration(holder: Element, company: CompanyConfiguration) -> None:
    add_nillable(holder, COEXISTENCE, "AnchorAttribute", company.anchor_attribute)
    add_nillable(holder, COEXISTENCE, "ApplicationVersion", company.application_version)
    add_nillable(holder, COEXISTENCE, "ClientVersion", company.client_version)
    export = add(holder, COEXISTENCE, "CurrentExport")
    add_nillable(export, COEXISTENCE, "DirSyncClientMachineName", company.machine)
    add(export, COEXISTENCE, "TotalConnectorSpaceObjects", str(company.total_connector_space_objects))
    add(holder, COEXISTENCE, "IsTrackingChanges", _text(company.is_tracking_changes))
    guard = add(holder, COEXISTENCE, "PreventAccidentalDeletion")
    add(guard, COEXISTENCE, "DeletionPrevention", company.deletion_prevention)
    add(guard, COEXISTENCE, "ThresholdCount", str(company.deletion_threshold_count))
    add(guard, COEXISTENCE, "ThresholdPercentage", str(company.deletion_threshold_percentage))
    writeback = add(holder, COEXISTENCE, "Writeback")
    add(writeback, COEXISTENCE, "UnifiedGroupContainer").set(f"{{{XSI}}}nil", "true")
    add(writeback, COEXISTENCE, "UserContainer").set(f"{{{XSI}}}nil", "true")


def read_company_configuration(body: Element) -> CompanyConfiguration:
    """Read the answer to GetCompanyConfiguration."""
    answer = require(body, SERVICE, "GetCompanyConfigurationResult")
    configuration = require(answer, COEXISTENCE, "DirSyncConfiguration")
    export = require(configuration, COEXISTENCE, "CurrentExport")
    guard = require(configuration, COEXISTENCE, "PreventAccidentalDeletion")
    tenant_id = text_of(answer, COEXISTENCE, "TenantId")
    if not tenant_id:
        raise BinaryXmlError("not the message expected: the company has no TenantId")
    return CompanyConfiguration(
        tenant_id=tenant_id,
        display_name=text_of(answer, COEXISTENCE, "DisplayName") or "",
        allowed_features=text_of(answer, COEXISTENCE, "AllowedFeatures") or "None",
        anchor_attribute=text_of(configuration, COEXISTENCE, "AnchorAttribute"),
        application_version=text_of(configuration, COEXISTENCE, "ApplicationVersion"),
        client_version=text_of(configuration, COEXISTENCE, "ClientVersion"),
        machine=text_of(export, COEXISTENCE, "DirSyncClientMachineName"),
        total_connector_space_objects=read_integer(text_of(export, COEXISTENCE, "TotalConnectorSpaceObjects")),
        is_tracking_changes=read_boolean(text_of(configuration, COEXISTENCE, "IsTrackingChanges")),
        deletion_prevention=text_of(guard, COEXISTENCE, "DeletionPrevention") or "",
        deletion_threshold_count=read_integer(text_of(guard, COEXISTENCE, "ThresholdCount")),
        deletion_threshold_percentage=read_integer(text_of(guard, COEXISTENCE, "ThresholdPercentage")),
        dirsync_features=read_integer(text_of(answer, COEXISTENCE, "DirSyncFeatures")),
        is_dir_syncing=read_boolean(text_of(answer, COEXISTENCE, "IsDirSyncing")),
        is_password_syncing=read_boolean(text_of(answer, COEXISTENCE, "IsPasswordSyncing")),
        links_max=read_integer(text_of(answer, COEXISTENCE, "MaxLinksSupportedAcrossBatchInProvision2")),
        synchronization_interval=text_of(answer, COEXISTENCE, "SynchronizationInterval") or "",
    )


def write_secrets_configuration(secrets: SecretsConfiguration) -> Element:
    """The answer to GetWindowsCredentialsSyncConfig. The misspelt name is the service's own."""
    root = element(SERVICE, "GetWindowsCredentialsSyncConfigResponse")
    answer = add(root, SERVICE, "GetWindowsCredentialsSyncConfigResult")
    answer.attrib.update({"xmlns:b": COEXISTENCE, "xmlns:i": XSI})
    add(answer, COEXISTENCE, "EnableWindowsLegacyCredentials", _text(secrets.legacy))
    add(answer, COEXISTENCE, "EnableWindowsSupplementaCredentials", _text(secrets.supplemental))
    certificate = None if secrets.certificate is None else b64encode(secrets.certificate).decode()
    add_nillable(answer, COEXISTENCE, "SecretEncryptionCertificate", certificate)
    return root


def read_secrets_configuration(body: Element) -> SecretsConfiguration:
    """Read the answer to GetWindowsCredentialsSyncConfig."""
    answer = require(body, SERVICE, "GetWindowsCredentialsSyncConfigResult")
    try:
        certificate = b64decode(text_of(answer, COEXISTENCE, "SecretEncryptionCertificate") or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BinaryXmlError("not the message expected: the certificate is not base64") from error
    return SecretsConfiguration(
        read_boolean(text_of(answer, COEXISTENCE, "EnableWindowsLegacyCredentials")),
        read_boolean(text_of(answer, COEXISTENCE, "EnableWindowsSupplementaCredentials")),
        certificate or None,
    )


def _text(value: bool) -> str:
    return "true" if value else "false"

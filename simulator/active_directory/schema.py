"""The part of the schema that the simulation knows: classes, categories and what is to be known of an attribute.

Facts follow the product's published schema ([MS-ADA1] to [MS-ADA3], [MS-ADSC]) for the objects that user
synchronization touches. Attributes that stand in ``schema_figures.txt`` only are handled as their figures say.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from simulator.active_directory import schema_figures as figures
from simulator.active_directory.times import NEVER

Scalar = str | int | bytes
Value = Scalar | tuple[Scalar, ...]
"""A value as it is kept: several values are a tuple of two or more; ``bool`` is an ``int`` to the type checker."""

TEXT, INTEGER, LARGE, BOOLEAN = "text", "integer", "large", "boolean"
OCTETS, TIME, NAME, OID = "octets", "time", "dn", "oid"


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """What is known of an attribute.

    key: the name in lower case, by which values are kept. ``single``: at most one value. ``system``: only the system
    writes it. ``secret``: never read by anyone over LDAP. ``constructed``: computed, returned only when asked for by
    name. ``local``: differs between controllers and is not replicated. ``most``: the longest value in characters, 0 for
    no limit.
    """

    name: str
    key: str
    syntax: str
    single: bool
    system: bool = False
    secret: bool = False
    constructed: bool = False
    local: bool = False
    most: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ObjectClass:
    """A structural class: ``chain`` is objectClass's value, most general first."""

    name: str
    chain: tuple[str, ...]
    category: str
    rdn: str
    is_account: bool = False
    defaults: Mapping[str, Value] = field(default_factory=dict)
    lowered: frozenset[str] = frozenset()


# name : syntax flags. m several values, S system only, X secret, C constructed, L local to a controller.
_ATTRIBUTES = """
accountExpires large; adminCount integer; adminDescription text; badPasswordTime large LS; badPwdCount integer LS;
businessCategory text m; c text; canonicalName text mCS; carLicense text m; cn text; co text; codePage integer;
comment text; company text; countryCode integer; dBCSPwd octets X; dc text; department text; departmentNumber text
m; description text m; destinationIndicator text m; displayName text; displayNamePrintable text; distinguishedName
dn S; division text; dNSHostName text; employeeID text; employeeNumber text; employeeType text; extensionName text
m; facsimileTelephoneNumber text; fSMORoleOwner dn; generationQualifier text; givenName text; gPLink text; groupType
integer; homeDirectory text; homeDrive text; homePhone text; homePostalAddress text; info text; initialAuthIncoming
text; initials text; instanceType integer S; internationalISDNNumber text m; ipPhone text; isCriticalSystemObject
boolean S; isDeleted boolean S; isRecycled boolean S; jpegPhoto octets m; l text; labeledURI text m; lastKnownParent
dn S; lastLogoff large LS; lastLogon large LS; lastLogonTimestamp large S; legacyExchangeDN text; lmPwdHistory
octets X; location text; lockoutDuration large; lockOutObservationWindow large; lockoutThreshold integer;
lockoutTime large; logonCount integer LS; logonHours octets; logonWorkstation octets; mail text; mailNickname text;
managedBy dn; manager dn; maxPwdAge large; member dn m; memberOf dn mS; middleName text; minPwdAge large;
minPwdLength integer; mobile text; mS-DS-ConsistencyGuid octets; msDS-Behavior-Version integer;
msDS-cloudExtensionAttribute1 text; msDS-LockoutDuration large; msDS-LockoutObservationWindow large;
msDS-LockoutThreshold integer; msDS-MaximumPasswordAge large; msDS-MinimumPasswordAge large;
msDS-MinimumPasswordLength integer; msDS-parentdistname dn CS; msDS-PasswordComplexityEnabled boolean;
msDS-PasswordHistoryLength integer; msDS-PasswordReversibleEncryptionEnabled boolean;
msDS-PasswordSettingsPrecedence integer; msDS-PrincipalName text CS; msDS-PSOApplied dn mS; msDS-PSOAppliesTo dn m;
msDS-ResultantPSO dn CS; msDS-User-Account-Control-Computed integer CS; msDS-UserPasswordExpiryTimeComputed large CS;
msExchHideFromAddressLists boolean; msExchMasterAccountSid octets; msExchRecipientTypeDetails large; name text S;
ntPwdHistory octets X; nTSecurityDescriptor octets CS; o text m; objectCategory dn S; objectClass oid m; objectGUID
octets S; objectSid octets S; operatingSystem text; otherMobile text m; otherTelephone text m; ou text m; pager
text; parentGUID octets CS; personalTitle text; photo octets m; physicalDeliveryOfficeName text; postalAddress text
m; postalCode text; postOfficeBox text m; preferredLanguage text; primaryGroupID integer; profilePath text;
proxyAddresses text m; pwdHistoryLength integer; pwdLastSet large; pwdProperties integer; registeredAddress octets
m; roomNumber text m; sAMAccountName text; sAMAccountType integer S; scriptPath text; secretary dn m; seeAlso dn m;
servicePrincipalName text m; showInAdvancedViewOnly boolean; sn text; st text; street text; streetAddress text;
subRefs dn mS; supplementalCredentials octets X; targetAddress text; telephoneNumber text; thumbnailPhoto octets;
title text; tokenGroups octets mCS; uid text m; unicodePwd octets X; url text m; userAccountControl integer;
userCertificate octets m; userPassword octets m; userPrincipalName text; userSMIMECertificate octets m;
userWorkstations text; uSNChanged large LS; uSNCreated large LS; wellKnownObjects text mS; whenChanged time LS;
whenCreated time S; wWWHomePage text; x500uniqueIdentifier octets m
"""


# What describes other objects, configuration and schema among them.
_MORE_ATTRIBUTES = """
adminDisplayName text; allowedAttributes oid mCS; allowedAttributesEffective oid mCS; allowedChildClasses oid mCS;
allowedChildClassesEffective oid mCS; altSecurityIdentities text m; assistant dn; attributeID oid S; attributeSyntax
oid S; attributeTypes text mCS; auxiliaryClass oid m; createTimeStamp time CS; defaultObjectCategory dn;
defaultSecurityDescriptor text; dITContentRules text mCS; dMDLocation dn S; dnsRoot text m; dSHeuristics text;
extendedAttributeInfo text mCS; extendedClassInfo text mCS; fromEntry boolean mCS; governsID oid S; hasMasterNCs dn
mS; invocationId octets S; isMemberOfPartialAttributeSet boolean; isSingleValued boolean S; lDAPDisplayName text;
linkID integer S; mayContain oid m; modifyTimeStamp time CS; ms-DS-MachineAccountQuota integer;
msDS-DeletedObjectLifetime integer; msDS-HasDomainNCs dn mS; msDS-hasMasterNCs dn mS; msDS-KeyVersionNumber integer
CS; msDS-Other-Settings text m; msDS-ReplAttributeMetaData text mCS; msDS-SupportedEncryptionTypes integer;
mustContain oid m; nCName dn S; nETBIOSName text; nTMixedDomain integer; objectClassCategory integer S; objectClasses
text mCS; objectVersion integer; oMSyntax integer S; operatingSystemServicePack text; operatingSystemVersion text;
options integer; possSuperiors oid m; primaryGroupToken integer CS; rangeLower integer; rangeUpper integer; rDNAttID
oid S; replPropertyMetaData octets SL; rIDManagerReference dn S; rootTrust dn m; schemaFlagsEx integer S; schemaIDGUID
octets S; sDRightsEffective integer CS; searchFlags integer; serverReference dn; showInAddressBook dn m; sIDHistory
octets m; sPNMappings text m; structuralObjectClass oid mCS; subClassOf oid S; subSchemaSubEntry dn mCS;
systemAuxiliaryClass oid mS; systemFlags integer S; systemMayContain oid mS; systemMustContain oid mS; systemOnly
boolean S; systemPossSuperiors oid mS; tokenGroupsGlobalAndUniversal octets mCS; tokenGroupsNoGCAcceptable octets mCS;
tombstoneLifetime integer; trustParent dn; rightsGuid text; validAccesses integer; appliesTo text m;
lDAPAdminLimits text m; userParameters text
"""


INDEXED_LINKS = {"managedby": "managedobjects", "manager": "directreports"}
"""Links of one value, by which what they point to is told who does: with the other ends."""

LINKS = frozenset(("member", "msds-psoappliesto", *INDEXED_LINKS))
"""Attributes kept as objectGUIDs, so that they follow renames and lose what is deleted (linkID; secretary and seeAlso
are none). The name of what lies in another domain is kept as it is."""

BACK_LINKS = frozenset(("memberof", "msds-psoapplied", *INDEXED_LINKS.values()))
"""The other ends: computed, and not replicated."""


def _read_attributes() -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    rows = [row.split() for row in f"{_ATTRIBUTES};{_MORE_ATTRIBUTES}".replace("\n", " ").split(";")]
    rows += [[f"extensionAttribute{number}", TEXT] for number in range(1, 16)]
    rows += [[f"msDS-cloudExtensionAttribute{number}", TEXT] for number in range(2, 21)]
    for name, syntax, *rest in rows:
        flags = rest[0] if rest else ""
        key = sys.intern(name.lower())
        found[key] = Attribute(
            sys.intern(name), key, syntax, "m" not in flags, "S" in flags, "X" in flags, "C" in flags, "L" in flags,
            _LENGTHS.get(name, 0),
        )  # fmt: skip
    for key, each in figures.attributes().items():
        if key not in found:
            found[sys.intern(key)] = _by_figures(each)
    return found


def _by_figures(each: figures.AttributeFigures) -> Attribute:
    """An attribute that the simulation has no opinion of: it is handled as its figures say."""
    syntax, constructed = _SYNTAXES.get(each.syntax, TEXT), bool(each.system_flags & figures.CONSTRUCTED)
    back_link = bool(each.link and each.link % 2)
    return Attribute(
        sys.intern(each.name), sys.intern(each.name.lower()), syntax, each.single,
        system=each.system_only or constructed or back_link, secret=each.name in _SECRETS, constructed=constructed,
        local=bool(each.system_flags & figures.NOT_REPLICATED), most=(each.upper or 0) if syntax == TEXT else 0,
    )  # fmt: skip


_SYNTAXES = {
    "2.5.5.1": NAME, "2.5.5.2": OID, "2.5.5.8": BOOLEAN, "2.5.5.9": INTEGER, "2.5.5.10": OCTETS, "2.5.5.11": TIME,
    "2.5.5.15": OCTETS, "2.5.5.16": LARGE, "2.5.5.17": OCTETS,
}  # fmt: skip
"""attributeSyntax -> how values are kept; names with something attached (2.5.5.7, 2.5.5.14) are kept as text."""

_SECRETS = frozenset(("currentValue", "priorValue", "initialAuthOutgoing", "trustAuthIncoming", "trustAuthOutgoing"))
"""What nobody reads ([MS-ADTS] 3.1.1.4.4), beside the secrets of accounts."""

_LENGTHS = {
    "adminDescription": 226, "c": 3, "cn": 64, "company": 64, "department": 64, "displayName": 256, "givenName": 64,
    "initials": 6, "mail": 256, "ou": 64, "sAMAccountName": 256, "sn": 64, "title": 128, "userPrincipalName": 1024,
}  # fmt: skip

ATTRIBUTES: dict[str, Attribute] = _read_attributes()
"""All attributes by key."""

PASSWORD_ATTRIBUTES = frozenset(
    ("unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials", "pwdlastset")
)
"""What one password set changes, all in one transaction."""

BORN_EMPTY = frozenset(("dbcspwd", "lmpwdhistory", "logonhours", "ntpwdhistory", "unicodepwd"))
"""What the accounts database writes of each new account, with no value if there is none: it has metadata, and is named
without values by replication."""


@lru_cache(maxsize=4096)
def attribute(name: str) -> Attribute | None:
    """The attribute of that name, whatever its case, or of that OID; None.

    Of options ``binary`` and ``range=`` are known ([MS-ADTS] 3.1.1.3.1.3.3): with another one a name
    means nothing.
    """
    found = ATTRIBUTES.get(name)
    if found is not None:
        return found
    key, *options = name.lower().split(";")
    if any(option != "binary" and not option.startswith("range=") for option in options):
        return None
    if key.startswith("oid.") or key[:1].isdigit():
        return ATTRIBUTES.get(figures.name_of_oid(key.removeprefix("oid.")))
    return ATTRIBUTES.get(key)


_PERSON = {
    "accountexpires": NEVER, "badpasswordtime": 0, "badpwdcount": 0, "codepage": 0, "countrycode": 0, "lastlogoff": 0,
    "lastlogon": 0, "logoncount": 0, "primarygroupid": 513,
}  # fmt: skip
_COMPUTER = _PERSON | {"primarygroupid": 515, "iscriticalsystemobject": False}
_HIDDEN = {"showinadvancedviewonly": True}
"""What objects get of classes whose defaultHidingValue is TRUE."""


def _object_class(
    name: str,
    chain: str,
    category: str,
    rdn: str = "CN",
    *,
    defaults: Mapping[str, Value] | None = None,
    is_account: bool = False,
) -> ObjectClass:
    names = (*chain.split(), name)
    lowered = frozenset(part.lower() for part in names)
    return ObjectClass(name, names, category, rdn, is_account, dict(defaults or {}), lowered)


_USER = "top person organizationalPerson"
CLASSES: dict[str, ObjectClass] = {
    found.name.lower(): found
    for found in (
        _object_class("user", _USER, "Person", defaults=_PERSON, is_account=True),
        _object_class("inetOrgPerson", f"{_USER} user", "Person", defaults=_PERSON, is_account=True),
        _object_class("computer", f"{_USER} user", "Computer", defaults=_COMPUTER, is_account=True),
        _object_class("contact", _USER, "Person"),
        _object_class("group", "top", "Group", defaults={"grouptype": -2147483646}),
        _object_class("organizationalUnit", "top", "Organizational-Unit", "OU"),
        _object_class("container", "top", "Container", defaults=_HIDDEN),
        _object_class("builtinDomain", "top", "Builtin-Domain", defaults=_HIDDEN),
        _object_class("domainDNS", "top domain", "Domain-DNS", "DC"),
        _object_class("lostAndFound", "top", "Lost-And-Found", defaults=_HIDDEN),
        _object_class("infrastructureUpdate", "top", "Infrastructure-Update", defaults=_HIDDEN),
        _object_class("msDS-QuotaContainer", "top", "ms-DS-Quota-Container", defaults=_HIDDEN),
        _object_class("msDS-PasswordSettings", "top", "ms-DS-Password-Settings"),
        _object_class("msDS-PasswordSettingsContainer", "top", "ms-DS-Password-Settings-Container"),
    )
}
"""Structural classes by name in lower case. iNetOrgPerson's category is Person, as user's and contact's."""

CATEGORY_OF_NAME = {
    "person": "Person", "user": "Person", "inetorgperson": "Person", "organizationalperson": "Person",
    "contact": "Person", "computer": "Computer", "group": "Group", "organizationalunit": "Organizational-Unit",
    "container": "Container", "builtindomain": "Builtin-Domain", "domaindns": "Domain-DNS", "domain": "Domain-DNS",
    "lostandfound": "Lost-And-Found", "infrastructureupdate": "Infrastructure-Update",
    "msds-quotacontainer": "ms-DS-Quota-Container", "msds-passwordsettings": "ms-DS-Password-Settings",
    "msds-passwordsettingscontainer": "ms-DS-Password-Settings-Container",
}  # fmt: skip
"""``(objectCategory=user)`` means the category of that class: Person."""


def structural_class(names: list[str]) -> ObjectClass | None:
    """The most special known class among ``names`` if the others lie on its chain; None for an unknown mixture."""
    wanted = {name.lower() for name in names}
    found = [CLASSES[name] for name in wanted if name in CLASSES]
    if not found:
        return None
    best = max(found, key=lambda candidate: len(candidate.chain))
    return best if wanted <= best.lowered else None

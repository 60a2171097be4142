"""The root DSE, the configuration and the schema as clients read them."""

from __future__ import annotations

import ldap3
from conformance.catalogue import Area, Observation
from conformance.lab import BASE, LEVEL, SUBTREE, Lab

area = Area("rootdse")

ATTRIBUTES = (
    "namingContexts",
    "defaultNamingContext",
    "schemaNamingContext",
    "configurationNamingContext",
    "rootDomainNamingContext",
    "subschemaSubentry",
    "supportedLDAPVersion",
    "supportedSASLMechanisms",
    "dnsHostName",
    "serverName",
    "dsServiceName",
    "ldapServiceName",
    "currentTime",
    "isSynchronized",
    "isGlobalCatalogReady",
    "domainFunctionality",
    "forestFunctionality",
    "domainControllerFunctionality",
    "supportedCapabilities",
    "supportedLDAPPolicies",
    "objectClass",
    "vendorName",
    "vendorVersion",
    "supportedExtension",
    "altServer",
    "configurationNamingContext",
    "tokenGroups",
    "msDS-PortLDAP",
    "netlogon",
    "validFSMOs",
    "supportedFeatures",
)


@area.table({name.lower(): name for name in dict.fromkeys(ATTRIBUTES)})
def attribute(lab: Lab, name: str) -> Observation:
    """An attribute of the root DSE, anonymously."""
    nobody = lab.server.open(None, None)
    return lab.read("", name, by=nobody)


CONTROLS = {
    "paged": "1.2.840.113556.1.4.319",
    "show-deleted": "1.2.840.113556.1.4.417",
    "sort": "1.2.840.113556.1.4.473",
    "sort-answer": "1.2.840.113556.1.4.474",
    "extended-dn": "1.2.840.113556.1.4.529",
    "dirsync": "1.2.840.113556.1.4.841",
    "tree-delete": "1.2.840.113556.1.4.805",
    "sd-flags": "1.2.840.113556.1.4.801",
    "domain-scope": "1.2.840.113556.1.4.1339",
    "search-options": "1.2.840.113556.1.4.1340",
    "permissive": "1.2.840.113556.1.4.1413",
    "asq": "1.2.840.113556.1.4.1504",
    "show-recycled": "1.2.840.113556.1.4.2064",
    "notification": "1.2.840.113556.1.4.528",
    "vlv": "2.16.840.1.113730.3.4.9",
    "vlv-answer": "2.16.840.1.113730.3.4.10",
    "verify-name": "1.2.840.113556.1.4.1338",
    "lazy": "1.2.840.113556.1.4.619",
    "stats": "1.2.840.113556.1.4.970",
    "rodc": "1.2.840.113556.1.4.1341",
}


@area.table(CONTROLS)
def supported_control(lab: Lab, oid: str) -> Observation:
    """Whether a control is among supportedControl."""
    return oid.encode() in lab.raw("", "supportedControl")


@area.check
def same_for_the_administrator(lab: Lab) -> Observation:
    """The administrator sees the same."""
    return sorted(lab.read("", "*", "+").keys() & {"namingContexts", "defaultNamingContext", "supportedControl"})


@area.table({"star": ["*"], "plus": ["+"], "none": ["1.1"], "case": ["DEFAULTNAMINGCONTEXT"], "unknown": ["nonsense"]})
def asked_for(lab: Lab, names: list[str]) -> Observation:
    """Attributes as they are asked for."""
    wanted = {"defaultNamingContext", "namingContexts", "highestCommittedUSN", "supportedLDAPVersion", "dnsHostName"}
    return sorted(set(lab.read("", *names)) & wanted)


@area.table(
    {
        "present": "(objectClass=*)",
        "equal": "(objectClass=top)",
        "other": "(cn=x)",
        "not": "(!(cn=x))",
        "attribute": "(defaultNamingContext=*)",
    }
)
def filter(lab: Lab, text: str) -> Observation:
    """Filters on the root DSE."""
    answer, found = lab.search(text, "", BASE, ["defaultNamingContext"])
    return answer, len(found)


@area.check
def writes(lab: Lab) -> Observation:
    """Nothing unknown can be written to it."""
    return lab.set("", nonsense="x"), lab.delete("")


@area.table(
    {
        "configuration": "",
        "partitions": "CN=Partitions,",
        "sites": "CN=Sites,",
        "services": "CN=Services,",
        "first-site": "CN=Default-First-Site-Name,CN=Sites,",
        "servers": "CN=Servers,CN=Default-First-Site-Name,CN=Sites,",
        "server": "CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,",
        "windows-nt": "CN=Windows NT,CN=Services,",
        "settings": "CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,",
        "directory-service": "CN=Directory Service,CN=Windows NT,CN=Services,",
        "domain": "CN=CONTOSO,CN=Partitions,",
        "schema": "CN=Schema,",
        "aggregate": "CN=Aggregate,CN=Schema,",
        "enterprise": "CN=Enterprise Configuration,CN=Partitions,",
        "enterprise-schema": "CN=Enterprise Schema,CN=Partitions,",
        "extended-rights": "CN=Extended-Rights,",
        "display": "CN=DisplaySpecifiers,",
        "missing": "CN=nothing,",
    }
)
def configuration(lab: Lab, rdn: str) -> Observation:
    """Objects of the configuration."""
    names = (
        "objectClass",
        "name",
        "nCName",
        "nETBIOSName",
        "dnsRoot",
        "systemFlags",
        "options",
        "tombstoneLifetime",
        "dNSHostName",
        "serverReference",
        "objectCategory",
        "instanceType",
        "hasMasterNCs",
        "msDS-HasMasterNCs",
        "trustParent",
    )
    return lab.read(f"{rdn}CN=Configuration,{lab.base}", *names)


ATTRIBUTE_NAMES = (
    "cn",
    "unicodePwd",
    "pwdLastSet",
    "userAccountControl",
    "objectGUID",
    "objectSid",
    "member",
    "memberOf",
    "description",
    "displayName",
    "sAMAccountName",
    "userPrincipalName",
    "objectClass",
    "whenChanged",
    "uSNChanged",
    "accountExpires",
    "proxyAddresses",
    "manager",
    "thumbnailPhoto",
    "countryCode",
    "isDeleted",
    "name",
    "supplementalCredentials",
    "msDS-PSOAppliesTo",
    "lockoutTime",
    "mail",
    "title",
    "mS-DS-ConsistencyGuid",
    "groupType",
    "nTSecurityDescriptor",
)


@area.table({name.lower(): name for name in ATTRIBUTE_NAMES})
def attribute_schema(lab: Lab, name: str) -> Observation:
    """Definitions of attributes."""
    schema = f"CN=Schema,CN=Configuration,{lab.base}"
    names = (
        "objectClass",
        "attributeID",
        "attributeSyntax",
        "oMSyntax",
        "isSingleValued",
        "lDAPDisplayName",
        "systemOnly",
        "searchFlags",
        "rangeLower",
        "rangeUpper",
        "linkID",
        "cn",
        "schemaIDGUID",
        "systemFlags",
    )
    answer, found = lab.search(f"(lDAPDisplayName={name})", schema, LEVEL, names)
    shown = []
    for each in found:
        values = lab.shown(each)
        if "schemaIDGUID" in values:
            values["schemaIDGUID"] = [octets.hex() for octets in each["raw_attributes"]["schemaIDGUID"]]
        shown.append(values)
    return answer, shown


@area.table(
    {
        name.lower(): name
        for name in (
            "user",
            "inetOrgPerson",
            "person",
            "organizationalPerson",
            "contact",
            "computer",
            "group",
            "organizationalUnit",
            "top",
            "container",
            "domainDNS",
            "msDS-PasswordSettings",
            "securityPrincipal",
            "mailRecipient",
            "builtinDomain",
        )
    }
)
def class_schema(lab: Lab, name: str) -> Observation:
    """Definitions of classes."""
    schema = f"CN=Schema,CN=Configuration,{lab.base}"
    names = (
        "objectClass",
        "governsID",
        "subClassOf",
        "objectClassCategory",
        "rDNAttID",
        "lDAPDisplayName",
        "cn",
        "systemOnly",
        "defaultObjectCategory",
    )
    answer, found = lab.search(f"(&(objectClass=classSchema)(lDAPDisplayName={name}))", schema, LEVEL, names)
    return answer, [lab.shown(each) for each in found]


@area.check
def property_sets(lab: Lab) -> Observation:
    """Property sets of attributes, and classes whose objects are hidden."""
    schema = f"CN=Schema,CN=Configuration,{lab.base}"
    seen = []
    for text, name in (
        ("(attributeSecurityGUID=*)", "attributeSecurityGUID"),
        ("(defaultHidingValue=*)", "defaultHidingValue"),
    ):
        _, found = lab.search(text, schema, LEVEL, ["lDAPDisplayName", name])
        shown = {lab.plain("cn", each["raw_attributes"]["lDAPDisplayName"][0]): lab.shown(each)[name] for each in found}
        seen.append({key: shown.get(key) for key in (*ATTRIBUTE_NAMES, "user", "contact", "container")})
    return seen


@area.check
def schema_by_ldap3(lab: Lab) -> Observation:
    """What ldap3 makes of the schema: types and classes that agents use."""
    server, connection = lab.server.endpoint(), lab.admin
    info = ldap3.Server(server.host, port=server.port, use_ssl=True, tls=server.tls, get_info=ldap3.ALL)
    info.get_info_from_server(connection)
    schema = info.schema
    if schema is None:
        return "no schema"
    types = {
        name: (schema.attribute_types[name].syntax, schema.attribute_types[name].single_value)
        for name in ATTRIBUTE_NAMES
        if name in schema.attribute_types
    }
    return types, sorted(
        name for name in ("user", "inetOrgPerson", "contact", "group") if name in schema.object_classes
    )


@area.check
def schema_is_read_only_to_users(lab: Lab) -> Observation:
    """Users cannot write configuration or schema."""
    user = lab.connect(lab.user())
    schema = f"CN=Schema,CN=Configuration,{lab.base}"
    return [
        lab.set(f"CN=Surname,{schema}", by=user, searchFlags="1"),
        lab.delete(f"CN=Partitions,CN=Configuration,{lab.base}", by=user),
        lab.add(f"CN=x,CN=Configuration,{lab.base}", "container", by=user),
    ]


@area.table(
    {
        "crossref": "(objectClass=crossRef)",
        "dsa": "(objectClass=nTDSDSA)",
        "site": "(objectClass=site)",
        "server": "(objectClass=server)",
        "netbios": "(nETBIOSName=CONTOSO)",
        "subnet": "(objectClass=subnet)",
    }
)
def configuration_search(lab: Lab, text: str) -> Observation:
    """Searches of the configuration, as clients make them."""
    answer, found = lab.search(text, f"CN=Configuration,{lab.base}", SUBTREE, ["cn"])
    return answer, sorted(lab.plain("dn", each["dn"].encode()) for each in found)

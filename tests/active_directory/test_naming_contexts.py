"""Configuration, schema, the root and what lies elsewhere: the contexts of a controller as clients see them."""

from __future__ import annotations

import gc
import weakref
from uuid import UUID

import pytest
from ldap3 import BASE, LEVEL, MODIFY_REPLACE, SUBTREE
from ldap3.protocol.rfc4512 import SchemaInfo

from simulator.active_directory import naming_contexts, schema_figures, schema_objects, searching
from simulator.active_directory.ldap import connect
from simulator.active_directory.requests import Search
from simulator.active_directory.schema import ATTRIBUTES, CLASSES
from simulator.active_directory.session import Session
from simulator.active_directory.virtual import well_known

ROOT = "DC=contoso,DC=example"
CONFIGURATION = f"CN=Configuration,{ROOT}"
SCHEMA = f"CN=Schema,{CONFIGURATION}"
SITE = f"CN=Default-First-Site-Name,CN=Sites,{CONFIGURATION}"
DOMAIN_SCOPE, SEARCH_OPTIONS = "1.2.840.113556.1.4.1339", "1.2.840.113556.1.4.1340"


@pytest.fixture
def forest(lab):
    """A root domain, a child of it and another tree, with connections to the first two."""
    lab.child = lab.forest.add_domain("child.contoso.example", controllers=("east", "west"))
    lab.other = lab.forest.add_domain("fabrikam.example", controllers=("host",))
    lab.root = lab.administrator()
    lab.below = connect(lab.child.controller(), "CHILD\\Administrator", lab.child.administrator_password)
    assert lab.below.bind()
    return lab


def names_of(connection, base, text="(objectClass=*)", scope=SUBTREE, **options):
    """DNs of what a search finds."""
    connection.search(base, text, scope, attributes=["1.1"], **options)
    return [entry["dn"] for entry in connection.response if entry["type"] == "searchResEntry"]


def references(connection, base, scope=SUBTREE, **options):
    """URLs of a search's continuation references."""
    connection.search(base, "(cn=nothing)", scope, attributes=["1.1"], **options)
    return [url for each in connection.response if each["type"] == "searchResRef" for url in each["uri"]]


def values_of(connection, dn, *attributes):
    """Texts and octets of one object, by attribute."""
    assert connection.search(dn, "(objectClass=*)", BASE, attributes=list(attributes) or ["*"])
    return dict(connection.response[0]["raw_attributes"])


class TestRoot:
    """The root object."""

    def test_what_clients_read(self, lab):
        """Everything that clients look for is there, for anonymous ones too, by ``*``, by ``+`` and by default."""
        session = Session(lab.domain.controller())
        answers = []
        for asked in (["*"], ["+"], []):
            ((dn, shown),) = session.search(Search("", 0, attributes=asked)).entries
            assert dn == ""
            answers.append({attribute.name for attribute, _ in shown})
        wanted = {
            "namingContexts", "defaultNamingContext", "schemaNamingContext", "configurationNamingContext",
            "rootDomainNamingContext", "subschemaSubentry", "supportedControl", "supportedLDAPVersion",
            "supportedLDAPPolicies", "supportedCapabilities", "highestCommittedUSN", "dnsHostName", "serverName",
            "dsServiceName", "ldapServiceName", "currentTime", "isSynchronized", "isGlobalCatalogReady",
            "domainFunctionality", "forestFunctionality", "domainControllerFunctionality",
        }  # fmt: skip
        assert all(wanted == each - {"supportedExtension"} for each in answers)
        assert ["supportedExtension" in each for each in answers] == [False, True, False]

    def test_names(self, forest):
        """A child domain's controller names its own domain, and configuration and schema of the root domain."""
        forest.below.search("", "(objectClass=*)", BASE, attributes=["*"])
        shown = forest.below.response[0]["attributes"]
        assert shown["namingContexts"] == [f"DC=child,{ROOT}", CONFIGURATION, SCHEMA]
        assert shown["rootDomainNamingContext"] == [ROOT]
        assert shown["dsServiceName"] == [f"CN=NTDS Settings,CN=EAST,CN=Servers,{SITE}"]
        assert shown["ldapServiceName"] == ["contoso.example:east$@CHILD.CONTOSO.EXAMPLE"]

    def test_reader(self, lab):
        """tokenGroups of the root are the reader's own SID and groups, and nobody's for an anonymous one."""
        admin = lab.administrator()
        tokens = values_of(admin, "", "tokenGroups")["tokenGroups"]
        assert {octets[-4:] for octets in tokens} == {(500).to_bytes(4, "little"), (512).to_bytes(4, "little"),
                                                      (513).to_bytes(4, "little")}  # fmt: skip
        anonymous = connect(lab.domain.controller())
        anonymous.bind()
        anonymous.search("", "(objectClass=*)", BASE, attributes=["tokenGroups"])
        assert anonymous.response[0]["raw_attributes"] == {}

    def test_names_lead_somewhere(self, lab):
        """Every object that the root names is there."""
        admin = lab.administrator()
        admin.search("", "(objectClass=*)", BASE, attributes=["*"])
        shown = admin.response[0]["attributes"]
        for name in ("defaultNamingContext", "schemaNamingContext", "configurationNamingContext", "serverName",
                     "dsServiceName", "subschemaSubentry"):  # fmt: skip
            (dn,) = shown[name]
            assert names_of(admin, dn, scope=BASE) == [dn]


class TestConfiguration:
    """The configuration."""

    def test_cross_refs(self, forest):
        """Each domain has a crossRef with its names, a child also one to its parent, a tree one to the root."""
        found = {}
        forest.root.search(f"CN=Partitions,{CONFIGURATION}", "(objectClass=crossRef)", attributes=["*"])
        for entry in forest.root.response:
            shown = entry["attributes"]
            found[shown["nCName"][0]] = shown
        contoso, child, fabrikam = found[ROOT], found[f"DC=child,{ROOT}"], found["DC=fabrikam,DC=example"]
        assert (contoso["nETBIOSName"], contoso["dnsRoot"]) == (["CONTOSO"], ["contoso.example"])
        assert contoso["systemFlags"] == ["3"]
        assert child["trustParent"] == [f"CN=CONTOSO,CN=Partitions,{CONFIGURATION}"]
        assert fabrikam["rootTrust"] == [f"CN=CONTOSO,CN=Partitions,{CONFIGURATION}"]
        assert found[CONFIGURATION]["systemFlags"] == found[SCHEMA]["systemFlags"] == ["1"]

    def test_controllers(self, forest):
        """Each controller has a server and its settings, with its copy's identity, on every controller the same."""
        for connection in (forest.root, forest.below):
            assert names_of(connection, CONFIGURATION, "(objectClass=nTDSDSA)") == [
                f"CN=NTDS Settings,CN={name},CN=Servers,{SITE}" for name in ("DC1", "EAST", "WEST", "HOST")
            ]
        west = forest.child.controller("west")
        shown = values_of(forest.root, f"CN=NTDS Settings,CN=WEST,CN=Servers,{SITE}")
        assert shown["invocationId"] == [west.invocation]
        assert shown["msDS-HasDomainNCs"] == [f"DC=child,{ROOT}".encode()]
        server = values_of(forest.below, f"CN=WEST,CN=Servers,{SITE}")
        assert server["serverReference"] == [f"CN=WEST,OU=Domain Controllers,DC=child,{ROOT}".encode()]
        assert names_of(forest.below, server["serverReference"][0].decode(), scope=BASE) != []

    def test_same_name_twice(self, lab):
        """Controllers of one name in two domains have a server object each."""
        second = lab.forest.add_domain("fabrikam.example")
        found = names_of(lab.administrator(), CONFIGURATION, "(objectClass=server)")
        assert found == [f"CN={name},CN=Servers,{SITE}" for name in ("DC1", "DC1-FABRIKAM")]
        connection = connect(second.controller())
        connection.bind()
        connection.search("", "(objectClass=*)", BASE, attributes=["serverName"])
        assert connection.response[0]["attributes"]["serverName"] == found[1:]

    def test_outbound_replication(self, forest):
        """Disabled outbound replication shows in the options, as long as it lasts."""
        dn = f"CN=NTDS Settings,CN=WEST,CN=Servers,{SITE}"
        guid = values_of(forest.root, dn, "objectGUID")
        seen = []
        for state in ("up", "no-outbound-replication", "up"):
            forest.child.controller("west").state = state
            seen.append(values_of(forest.root, dn, "options")["options"])
        assert seen == [[b"1"], [b"5"], [b"1"]]
        assert values_of(forest.root, dn, "objectGUID") == guid

    def test_services(self, lab):
        """Tombstone lifetime, query policy and extended rights can be read."""
        admin = lab.administrator()
        service = f"CN=Directory Service,CN=Windows NT,CN=Services,{CONFIGURATION}"
        assert values_of(admin, service)["tombstoneLifetime"] == [b"180"]
        policy = values_of(admin, f"CN=Default Query Policy,CN=Query-Policies,{service}")
        assert b"MaxPageSize=1000" in policy["lDAPAdminLimits"]
        rights = f"CN=Extended-Rights,{CONFIGURATION}"
        admin.search(rights, "(displayName=Replicating Directory Changes)", attributes=["rightsGuid"])
        assert admin.response[0]["attributes"]["rightsGuid"] == ["1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"]

    def test_object(self, lab):
        """Objects have what every object has: names, classes, category, identifier, times; found by their GUID too."""
        admin = lab.administrator()
        shown = values_of(admin, CONFIGURATION)
        assert shown["objectClass"] == [b"top", b"configuration"]
        assert (shown["cn"], shown["name"], shown["instanceType"]) == ([b"Configuration"], [b"Configuration"], [b"13"])
        assert "objectSid" not in shown
        guid = UUID(bytes_le=shown["objectGUID"][0])
        assert names_of(admin, f"<GUID={guid}>", scope=BASE) == [CONFIGURATION]
        assert values_of(admin, CONFIGURATION, "canonicalName")["canonicalName"] == [b"contoso.example/Configuration"]

    @pytest.mark.parametrize("dn", [CONFIGURATION, f"CN=Sites,{CONFIGURATION}", f"CN=User,{SCHEMA}"])
    def test_is_not_written(self, lab, dn):
        """Neither context can be written: an administrator is refused as unwilling, others for want of a right."""
        lab.user()
        for connection, code in ((lab.administrator(), 53), (lab.bind("CONTOSO\\alice", "Winter-2016!"), 50)):
            connection.modify(dn, {"description": [(MODIFY_REPLACE, ["x"])]})
            assert connection.result["result"] == code
            connection.delete(dn)
            assert connection.result["result"] == code
            connection.add(f"CN=new,{dn}", ["container"])
            assert connection.result["result"] == code

    def test_costs_nothing_unasked(self, lab):
        """A world in which nobody asks makes neither context; one that was asked is let go with its controller."""
        lab.user()
        lab.administrator().search(f"OU=People,{ROOT}", "(cn=*)", attributes=["cn"])
        assert lab.domain.controller() not in naming_contexts._HELD
        naming_contexts.replicas(lab.domain.controller())
        gone = weakref.ref(lab.domain.controller())
        lab.domain = lab.forest = lab.clock = None
        gc.collect()
        assert gone() is None


class TestSchema:
    """The schema."""

    def test_attribute(self, lab):
        """An attribute's object tells its name, OID, syntax and flags."""
        shown = values_of(lab.administrator(), f"CN=Unicode-Pwd,{SCHEMA}")
        expected = {
            "lDAPDisplayName": b"unicodePwd", "attributeID": b"1.2.840.113556.1.4.90", "attributeSyntax": b"2.5.5.10",
            "oMSyntax": b"4", "isSingleValued": b"TRUE", "searchFlags": b"0", "systemOnly": b"FALSE",
            "schemaIDGUID": UUID("bf9679e1-0de6-11d0-a285-00aa003049e2").bytes_le, "objectClass": b"attributeSchema",
        }  # fmt: skip
        assert {name: shown[name][-1] for name in expected} == expected

    def test_class(self, lab):
        """A class's object tells its name, OID, what it stands below and what its objects hold."""
        shown = values_of(lab.administrator(), f"CN=inetOrgPerson,{SCHEMA}")
        assert shown["governsID"] == [b"2.16.840.1.113730.3.2.2"]
        assert shown["subClassOf"] == [b"user"]
        assert shown["defaultObjectCategory"] == [f"CN=Person,{SCHEMA}".encode()]
        assert b"departmentNumber" in shown["mayContain"]

    def test_everything_known_is_told(self, lab):
        """There is an object for every class and attribute of the simulation but those whose OID is not sure."""
        admin = lab.administrator()
        found = set()
        for kind in ("attributeSchema", "classSchema"):
            pages = admin.extend.standard.paged_search(
                SCHEMA, f"(objectClass={kind})", LEVEL, attributes=["lDAPDisplayName"], paged_size=1000
            )
            found |= {each["attributes"]["lDAPDisplayName"][0] for each in pages}
        missing = {each.name for each in ATTRIBUTES.values()} - found
        assert missing == set(schema_objects.unknown()) == {"msExchHideFromAddressLists", "msExchMasterAccountSid"}
        assert {each.name for each in CLASSES.values()} <= found

    def test_agrees_with_the_directory(self):
        """Whether an attribute has one value, is constructed or local, is told as it is handled."""
        for key, figures in schema_figures.attributes().items():
            own = ATTRIBUTES[key]
            if own.secret or key == "ntsecuritydescriptor":
                continue  # several values in the schema, one as the directory keeps them
            assert (own.single, own.constructed) == (figures.single, bool(figures.system_flags & 4)), own.name
        for key, each in CLASSES.items():
            assert list(each.chain) == schema_figures.chain(key)
            assert each.category == schema_figures.classes()[key].category

    def test_numbers_differ(self):
        """Each attribute has a number of its own, whatever its OID begins with."""
        found = schema_figures.attributes().values()
        assert len({each.number for each in found}) == len(found) > 1400

    @pytest.mark.parametrize("name", ["trustedDomain", "groupPolicyContainer", "msDS-GroupManagedServiceAccount"])
    def test_classes_without_objects(self, lab, name):
        """Tools ask for what a domain may have, by every class of the schema: none here, and no error."""
        admin = lab.administrator()
        [listed] = (
            admin.search(f"CN=Aggregate,{SCHEMA}", "(cn=*)", BASE, attributes=["objectClasses"]) and admin.response
        )
        assert f" NAME '{name}' " in " ".join(listed["attributes"]["objectClasses"])
        admin.search(f"CN=Users,{ROOT}", f"(|(objectClass={name})(cn=Guest))", attributes=["msDS-AllowedToDelegateTo"])
        assert [each["dn"] for each in admin.response] == [f"CN=Guest,CN=Users,{ROOT}"]

    def test_attributes_beside_the_known(self, lab):
        """What the simulation makes no use of is written, found and read as its figures say."""
        admin, dn = lab.administrator(), f"CN=Guest,CN=Users,{ROOT}"
        values = {
            "uidNumber": 1000,
            "loginShell": "/bin/sh",
            "telexNumber": b"7",
            "msDS-AllowedToDelegateTo": ["a", "b"],
        }
        assert admin.modify(dn, {name: [(MODIFY_REPLACE, value)] for name, value in values.items()})
        assert admin.search(ROOT, "(&(uidNumber>=999)(!(gidNumber=*)))", attributes=list(values))
        raw = admin.response[0]["raw_attributes"]
        assert [raw[name] for name in values] == [[b"1000"], [b"/bin/sh"], [b"7"], [b"a", b"b"]]

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("uidNumber", "x", 21),
            ("loginShell", "x" * 1025, 19),
            ("directReports", ROOT, 19),
            ("msDS-isRODC", "TRUE", 19),
            ("trustAuthIncoming", b"x", 53),
            ("trustDirection", "1", 65),
        ],
    )
    def test_attributes_refused(self, lab, name, value, code):
        """Syntax and length are checked; back links, what is computed, secrets and other classes' are refused."""
        admin = lab.administrator()
        assert not admin.modify(f"CN=Guest,CN=Users,{ROOT}", {name: [(MODIFY_REPLACE, [value])]})
        assert admin.result["result"] == code

    def test_client(self, lab):
        """ldap3 reads the subschema without complaint and knows every attribute and class by it."""
        admin = lab.administrator()
        aggregate = f"CN=Aggregate,{SCHEMA}"
        asked = ["attributeTypes", "objectClasses", "dITContentRules", "modifyTimeStamp"]
        assert admin.search(aggregate, "(objectClass=subschema)", BASE, attributes=asked)
        info = SchemaInfo(aggregate, admin.response[0]["attributes"], admin.response[0]["raw_attributes"])
        assert info.attribute_types["pwdLastSet"].syntax == "1.2.840.113556.1.4.906"
        assert info.attribute_types["memberOf"].single_value is False
        assert info.object_classes["user"].superior == ["organizationalPerson"]
        assert "sAMAccountName" in info.dit_content_rules["user"].must_contain
        assert len(info.attribute_types) == len(schema_figures.attributes())
        assert len(info.object_classes) == len(schema_figures.classes())

    def test_subschema_by_name_only(self, lab):
        """The subschema's own attributes come when they are named."""
        shown = values_of(lab.administrator(), f"CN=Aggregate,{SCHEMA}")
        assert "attributeTypes" not in shown
        assert shown["objectClass"] == [b"top", b"subSchema"]

    def test_names_by_oid(self, lab):
        """Attributes are found by their OIDs, in filters and in what is asked for."""
        admin = lab.administrator()
        admin.search(f"CN=Users,{ROOT}", "(1.2.840.113556.1.4.221=guest)", attributes=["2.5.4.3"])
        assert admin.response[0]["attributes"]["cn"] == ["Guest"]


class TestElsewhere:
    """Referrals and continuation references."""

    @pytest.mark.parametrize(
        ("base", "host"),
        [
            (f"OU=People,DC=child,{ROOT}", "child.contoso.example"),
            ("DC=fabrikam,DC=example", "fabrikam.example"),
            ("CN=x y,DC=lab,DC=example", "lab.example"),
            ("DC=example", "example"),
        ],
    )
    def test_referral(self, forest, base, host):
        """A name of another domain, of the forest or not, is answered with where to ask."""
        forest.root.search(base, "(objectClass=*)", attributes=["cn"])
        result = forest.root.result
        assert (result["result"], result["description"]) == (10, "referral")
        assert result["message"] == (
            f"0000202B: RefErr: DSID-03100781, data 0, 1 access points\n\tref 1: '{host}'\n\x00"
        )
        assert result["referrals"] == [f"ldap://{host}/{base.replace(' ', '%20')}"]
        forest.root.delete(base)
        assert forest.root.result["result"] == 10

    def test_no_domain_in_the_name(self, forest):
        """A name without DC parts leads nowhere."""
        forest.root.search("O=lab", "(objectClass=*)", attributes=["cn"])
        assert (forest.root.result["result"], forest.root.result["dn"]) == (32, "")

    def test_continuations(self, forest):
        """A subtree search of a context's head refers to the contexts below it; others and DirSync do not."""
        child = f"ldap://child.contoso.example/DC=child,{ROOT}"
        configuration = f"ldap://contoso.example/{CONFIGURATION}"
        assert references(forest.root, ROOT) == [child, configuration]
        assert references(forest.root, ROOT, LEVEL) == [f"{child}??base", f"{configuration}??base"]
        assert references(forest.root, CONFIGURATION) == [f"ldap://contoso.example/{SCHEMA}"]
        assert references(forest.root, SCHEMA) == references(forest.root, f"CN=Users,{ROOT}") == []
        assert references(forest.root, ROOT, BASE) == []
        assert references(forest.below, f"DC=child,{ROOT}") == []
        sync = forest.root.extend.microsoft.dir_sync(ROOT, "(cn=nothing)", attributes=["cn"])
        assert sync.loop() == []

    def test_domain_scope(self, forest):
        """The domain-scope control, or the option that means it, leaves references out."""
        assert references(forest.root, ROOT, controls=[(DOMAIN_SCOPE, True, None)]) == []
        assert references(forest.root, ROOT, controls=[(SEARCH_OPTIONS, True, b"\x30\x03\x02\x01\x01")]) == []

    def test_phantom_root(self, forest):
        """With the option for it a search below the root of all sees every context that the controller holds."""
        option = [(SEARCH_OPTIONS, True, b"\x30\x03\x02\x01\x02")]
        found = names_of(forest.root, "", "(|(cn=Guest)(cn=Sites)(cn=User))", controls=option)
        assert found == [f"CN=Guest,CN=Users,{ROOT}", f"CN=Sites,{CONFIGURATION}", f"CN=User,{SCHEMA}"]
        paged = forest.root.extend.standard.paged_search(
            "", "(|(cn=Guest)(cn=Sites)(cn=User))", SUBTREE, attributes=["1.1"], paged_size=2, controls=option
        )
        assert sorted(entry["dn"] for entry in paged) == found

    def test_pages_carry_references_once(self, forest):
        """References of a paged search come with its last page."""
        counts = []
        cookie = None
        while cookie != b"":
            forest.root.search(ROOT, "(objectClass=group)", attributes=["1.1"], paged_size=2, paged_cookie=cookie)
            counts.append(sum(each["type"] == "searchResRef" for each in forest.root.response))
            cookie = forest.root.result["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
        assert counts[-1] == 2
        assert set(counts[:-1]) == {0}

    def test_deepest_object(self, lab):
        """In configuration and schema, too, noSuchObject names the deepest object that exists."""
        admin = lab.administrator()
        for missing, there in ((f"CN=x,CN=y,CN=Sites,{CONFIGURATION}", f"CN=Sites,{CONFIGURATION}"),
                               (f"CN=x,{SCHEMA}", SCHEMA)):  # fmt: skip
            admin.search(missing, "(objectClass=*)", attributes=["cn"])
            assert (admin.result["result"], admin.result["dn"]) == (32, there)


def test_well_known_containers(lab):
    """The domain's root names eleven containers, each of which is found by its identifier."""
    root = lab.domain.controller().replica.root
    found = well_known(root)
    assert len(found) == len(root.all("wellknownobjects")) == 11
    assert found["F4BE92A4C777485E878E9421D53087DB"].dn == f"CN=Microsoft,CN=Program Data,{root.dn}"
    for identifier, entry in found.items():
        assert searching.locate(lab.domain.controller(), f"<WKGUID={identifier},{root.dn}>", deleted=True) is entry
    assert well_known(next(iter(found.values()))) == {}

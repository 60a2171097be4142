"""What ``pwsync surface`` lists of LDAP is what a controller takes: controls, extended operations, matching rules."""

from __future__ import annotations

from typing import Any

import pytest
from ldap3.core.exceptions import LDAPOperationResult
from ldap3.protocol.controls import build_control

from simulator.surface import surfaces

LISTED = {each.id: [entry.name for entry in each.entries] for each in surfaces()}
ROOT = "DC=contoso,DC=example"
UNAVAILABLE = 12


def code_with(lab: Any, oid: str) -> int:
    """The result code of a search with a critical control that has no value."""
    client = lab.administrator()
    try:
        client.search(
            ROOT, "(objectClass=domainDNS)", controls=[build_control(oid, True, None, encode_control_value=False)]
        )
    except LDAPOperationResult as problem:
        return int(problem.result)
    return int(client.result["result"])


@pytest.mark.parametrize("oid", LISTED["ldap-controls"])
def test_controls(lab: Any, oid: str) -> None:
    """A listed control may be critical; its neighbour, which is not listed, may not."""
    assert code_with(lab, oid) != UNAVAILABLE
    assert code_with(lab, f"{oid}1") == UNAVAILABLE


def test_root(lab: Any) -> None:
    """The root names the same controls and extended operations."""
    client = lab.administrator()
    client.search("", "(objectClass=*)", "BASE", attributes=["supportedControl", "supportedExtension"])
    told = client.entries[0].entry_attributes_as_dict
    assert sorted(told["supportedControl"]) == sorted(LISTED["ldap-controls"])
    assert list(told["supportedExtension"]) == LISTED["ldap-extended"]


def test_matching_rules(lab: Any) -> None:
    """Every listed rule finds somebody who is there to be found; another rule finds nobody."""
    lab.user("alice")
    client = lab.administrator()
    values = {"bit and": "512", "bit or": "513"}
    rules = {
        entry.name: entry.about for each in surfaces() if each.id == "ldap-matching-rules" for entry in each.entries
    }
    assert list(rules) == LISTED["ldap-matching-rules"]
    for oid, about in rules.items():
        if about in values:
            query = f"(&(sAMAccountName=alice)(userAccountControl:{oid}:={values[about]}))"
        else:
            client.search(ROOT, "(sAMAccountName=Administrator)", attributes=["memberOf"])
            group = client.entries[0].entry_attributes_as_dict["memberOf"][0]
            query = f"(&(sAMAccountName=Administrator)(memberOf:{oid}:={group}))"
        client.search(ROOT, query, attributes=["cn"])
        assert len(client.entries) == 1, about
        client.search(ROOT, query.replace(oid, f"{oid}1"), attributes=["cn"])
        assert not client.entries

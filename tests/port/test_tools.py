"""OpenLDAP's command line tools against the port."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from port.lab import ALICE, PASSWORD, PEOPLE, ROOT

TOOLS = ("ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldappasswd", "ldapwhoami", "ldapcompare", "ldapmodrdn")
missing = [tool for tool in TOOLS if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"no {', '.join(missing)} here: install the package ldap-utils")

WAYS = ("ldaps", "starttls")


@pytest.fixture
def run(lab, tmp_path):
    """Runs one of the tools as the administrator, or as somebody else; returns exit code, output, errors."""

    def call(tool, *arguments, way="ldaps", who=None, feed="", trust=True):
        port = lab.port.ldaps_port if way == "ldaps" else lab.port.ldap_port
        url = f"{'ldaps' if way == 'ldaps' else 'ldap'}://127.0.0.1:{port}"
        user, password = who or (f"CN=Administrator,CN=Users,{ROOT}", lab.domain.administrator_password)
        command = [tool, "-x", "-H", url, *(["-ZZ"] if way == "starttls" else []), "-D", user, "-w", password]
        # Nothing of this user's own configuration counts.
        settings = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | (
            {"LDAPTLS_CACERT": str(lab.ca)} if trust else {}
        )
        done = subprocess.run(
            [*command, *arguments], input=feed, capture_output=True, text=True, env=settings, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.mark.parametrize("way", WAYS)
class TestTools:
    def test_search(self, run, way):
        """ldapsearch finds and shows: values, octets in base64, nothing that is secret."""
        code, out, _ = run("ldapsearch", "-LLL", "-b", PEOPLE, "(sAMAccountName=alice)", "*", "unicodePwd", way=way)
        assert code == 0
        assert f"dn: {ALICE}" in out
        assert "objectGUID:: " in out
        assert "unicodePwd" not in out

    def test_paged_search(self, lab, run, way):
        """ldapsearch pages."""
        for number in range(12):
            lab.domain.create_user(f"user{number}", PASSWORD, check_policy=False)
        code, out, _ = run(
            "ldapsearch", "-LLL", "-b", PEOPLE, "-E", "pr=5/noprompt", "(objectClass=user)", "cn", way=way
        )
        assert code == 0
        assert out.count("dn: ") == 13

    def test_life_of_a_user(self, run, way):
        """ldapadd, ldapmodify, ldapmodrdn, ldapcompare and ldapdelete do what they say; the new user binds."""
        dn = f"CN=bob,{PEOPLE}"
        quoted = "IgBTAHAAcgBpAG4AZwAtADIAMAAxADcAIQAiAA=="
        entry = f"dn: {dn}\nobjectClass: user\nsAMAccountName: bob\nuserAccountControl: 512\nunicodePwd:: {quoted}\n"
        assert run("ldapadd", way=way, feed=entry)[0] == 0
        assert run("ldapsearch", "-b", "", "-s", "base", way=way, who=(dn, "Spring-2017!"))[0] == 0
        change = f"dn: {dn}\nchangetype: modify\nreplace: displayName\ndisplayName: Bob B.\n"
        assert run("ldapmodify", way=way, feed=change)[0] == 0
        assert run("ldapcompare", dn, "displayName:Bob B.", way=way)[:2] == (6, "TRUE\n")
        assert run("ldapmodrdn", "-r", dn, "CN=rob", way=way)[0] == 0
        assert run("ldapdelete", f"CN=rob,{PEOPLE}", way=way)[0] == 0
        assert run("ldapdelete", f"CN=rob,{PEOPLE}", way=way)[0] == 32

    def test_reset(self, run, way):
        """A reset by ldapmodify takes effect; one that breaks the rules is refused with the product's code."""
        head = f"dn: {ALICE}\nchangetype: modify\nreplace: unicodePwd\n"
        good, weak = "unicodePwd:: IgBTAHAAcgBpAG4AZwAtADIAMAAxADcAIQAiAA==\n", "unicodePwd:: IgB4ACIA\n"
        assert run("ldapmodify", way=way, feed=head + good)[0] == 0
        code, _, errors = run("ldapmodify", way=way, feed=head + weak)
        assert (code, "0000052D" in errors) == (19, True)
        assert run("ldapsearch", "-b", "", "-s", "base", way=way, who=(ALICE, "Spring-2017!"))[0] == 0

    def test_refused(self, run, way):
        """ldappasswd and ldapwhoami ask for what is not there: protocolError. A wrong password is 49."""
        code, out, errors = run("ldappasswd", "-s", "Spring-2017!", ALICE, way=way)
        assert (code != 0, "Protocol error (2)" in out + errors) == (True, True)
        code, out, errors = run("ldapwhoami", way=way)
        assert (code != 0, "Protocol error (2)" in out + errors) == (True, True)
        assert run("ldapsearch", "-b", PEOPLE, way=way, who=(ALICE, "wrong"))[0] == 49

    def test_stranger(self, run, way):
        """A client that does not trust the authority does not connect."""
        code, out, _ = run("ldapsearch", "-b", PEOPLE, way=way, trust=False)
        assert code != 0
        assert "dn:" not in out


def test_sasl(run):
    """A SASL bind is told that the mechanism is not known, or the tool finds none to try."""
    code, _, errors = run("ldapsearch", "-b", "", "-s", "base", "-Y", "EXTERNAL")
    assert code != 0
    assert errors

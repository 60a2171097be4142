"""Names in the tree: renames and moves."""

from __future__ import annotations

from conformance.catalogue import Area, Observation
from conformance.lab import Lab

area = Area("tree")

MOVES: dict[str, tuple[str, str, str | None]] = {
    "rename": ("CN={mine}u,{ou}", "CN=new", None),
    "rename-same": ("CN={mine}u,{ou}", "CN={mine}u", None),
    "rename-case": ("CN={mine}u,{ou}", "CN={mine}U", None),
    "rename-taken": ("CN={mine}u,{ou}", "CN={mine}v", None),
    "rename-taken-case": ("CN={mine}u,{ou}", "CN={mine}V", None),
    "rename-other-attribute": ("CN={mine}u,{ou}", "OU=new", None),
    "rename-unknown-attribute": ("CN={mine}u,{ou}", "XX=new", None),
    "rename-two": ("CN={mine}u,{ou}", "CN=a+sn=b", None),
    "rename-empty": ("CN={mine}u,{ou}", "CN=", None),
    "rename-broken": ("CN={mine}u,{ou}", "new", None),
    "rename-comma": ("CN={mine}u,{ou}", "CN=a\\,b", None),
    "rename-long": ("CN={mine}u,{ou}", "CN=" + "x" * 65, None),
    "rename-two-parts": ("CN={mine}u,{ou}", "CN=a,OU=in", None),
    "rename-special": ("CN={mine}u,{ou}", "CN=Straße \\#5 ", None),
    "rename-unit": ("OU=in,{ou}", "OU=out", None),
    "rename-missing": ("CN=nobody,{ou}", "CN=new", None),
    "rename-critical": ("CN=Users,{base}", "CN=People", None),
    "rename-root": ("{base}", "DC=new", None),
    "rename-administrator": ("CN=Guest,CN=Users,{base}", "CN={mine}Guest", None),
    "move": ("CN={mine}u,{ou}", "CN={mine}u", "OU=in,{ou}"),
    "move-and-rename": ("CN={mine}u,{ou}", "CN=new", "OU=in,{ou}"),
    "move-same": ("CN={mine}u,{ou}", "CN={mine}u", "{ou}"),
    "move-taken": ("CN={mine}u,{ou}", "CN=there", "OU=in,{ou}"),
    "move-missing": ("CN={mine}u,{ou}", "CN={mine}u", "OU=none,{ou}"),
    "move-below-user": ("CN={mine}u,{ou}", "CN={mine}u", "CN={mine}v,{ou}"),
    "move-below-itself": ("OU=in,{ou}", "OU=in", "OU=deep,OU=in,{ou}"),
    "move-to-itself": ("OU=in,{ou}", "OU=in", "OU=in,{ou}"),
    "move-unit-to-container": ("OU=in,{ou}", "OU={mine}in", "CN=Users,{base}"),
    "move-to-container": ("CN={mine}u,{ou}", "CN={mine}u", "CN=Users,{base}"),
    "move-to-root": ("CN={mine}u,{ou}", "CN={mine}u", "{base}"),
    "move-foreign": ("CN={mine}u,{ou}", "CN={mine}u", "DC=else,DC=example"),
    "move-configuration": ("CN={mine}u,{ou}", "CN={mine}u", "CN=Configuration,{base}"),
    "move-deleted-objects": ("CN={mine}u,{ou}", "CN={mine}u", "CN=Deleted Objects,{base}"),
    "move-broken": ("CN={mine}u,{ou}", "CN={mine}u", "rubbish"),
    "move-case": ("CN={mine}u,{ou}", "CN={mine}u", "ou=IN,{ou}"),
    "move-unit-with-children": ("OU=in,{ou}", "OU=moved", "OU=other,{ou}"),
    "move-system": ("CN=System,{base}", "CN=System", "{ou}"),
    "move-group": ("CN={mine}g,{ou}", "CN={mine}g", "OU=in,{ou}"),
}


def prepare(lab: Lab) -> None:
    """Two users, two units with something in them, a group."""
    for name in "uv":
        lab.user(name)
    for unit in ("OU=in", "OU=deep,OU=in", "OU=other"):
        lab.must(lab.add(f"{unit},{lab.ou}", "organizationalUnit"))
    lab.must(lab.add(f"CN=there,OU=in,{lab.ou}", "contact"))
    lab.group(members=[lab.dn("u")])


@area.table(MOVES)
def move(lab: Lab, row: tuple[str, str, str | None]) -> Observation:
    """Renames and moves, what the tree looks like then, and what a group's member is called."""
    prepare(lab)
    dn, rdn, superior = (None if each is None else each.format(mine=lab.mine, ou=lab.ou, base=lab.base) for each in row)
    answer = lab.rename(dn or "", rdn or "", superior)
    _, found = lab.search(attributes=["cn", "name", "ou", "member"])
    seen = sorted((each["dn"], str(lab.shown(each))) for each in found)
    if answer.code == 0 and (superior or "") not in ("", lab.ou) and lab.mine not in (superior or ""):
        lab.must(
            lab.rename(f"{rdn},{superior}", f"CN={lab.mine}z" if (rdn or "")[0] == "C" else f"OU={lab.mine}z", lab.ou)
        )
    return answer, seen


@area.check
def keep_old_name(lab: Lab) -> Observation:
    """deleteOldRDN false."""
    dn = lab.user()
    answer = lab.rename(dn, "CN=new", keep=True)
    return answer, lab.read(f"CN=new,{lab.ou}", "cn", "name"), lab.read(dn, "cn")


@area.check
def by_users(lab: Lab) -> Observation:
    """Users may not rename or move, not even themselves."""
    prepare(lab)
    user = lab.connect(lab.dn("u"))
    return [
        lab.rename(lab.dn("u"), "CN=new", by=user),
        lab.rename(lab.dn("v"), "CN=new", by=user),
        lab.rename(lab.dn("u"), f"CN={lab.name('u')}", f"OU=in,{lab.ou}", by=user),
    ]


@area.check
def binds_after_move(lab: Lab) -> Observation:
    """A moved user binds by the new DN; a connection of before goes on."""
    prepare(lab)
    user = lab.connect(lab.dn("u"))
    lab.must(lab.rename(lab.dn("u"), f"CN={lab.name('u')}", f"OU=in,{lab.ou}"))
    new = f"CN={lab.name('u')},OU=in,{lab.ou}"
    return lab.search(by=user, base=new, scope="BASE")[0], lab.bind(new), lab.bind(lab.dn("u"))


@area.check
def manager_follows(lab: Lab) -> Observation:
    """Links follow a rename of what they name, and of what is above it."""
    prepare(lab)
    lab.must(lab.set(lab.dn("v"), manager=f"CN=there,OU=in,{lab.ou}"))
    lab.must(lab.rename(f"OU=in,{lab.ou}", "OU=renamed"))
    return lab.read(lab.dn("v"), "manager"), lab.names("(manager=*)")

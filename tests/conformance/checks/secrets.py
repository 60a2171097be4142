"""Replication of secrets (DRSGetNCChanges): rights, what comes, in which order, in which pages."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from conformance.catalogue import Area, Observation
from conformance.lab import OTHER, PASSWORD, THIRD, Lab
from conformance.replication import GET_CHANGES, GET_CHANGES_ALL, Ask, Found, Page, Reader, packages

from pwsync.credential import nt_hash

area = Area("secrets")

RIGHTS = {
    "none": (),
    "get-changes": (GET_CHANGES,),
    "get-changes-all": (GET_CHANGES_ALL,),
    "both": (GET_CHANGES, GET_CHANGES_ALL),
}
SETS: dict[str, Sequence[str] | None] = {
    "everything": None,
    "unicodepwd": ["unicodePwd"],
    "pwdlastset": ["pwdLastSet"],
    "credentials": ["supplementalCredentials"],
    "history": ["ntPwdHistory"],
    "description": ["description"],
}
WATCHED = ["unicodePwd", "pwdLastSet", "ntPwdHistory", "lmPwdHistory", "dBCSPwd", "supplementalCredentials"]


def reader(lab: Lab, user: str | None = None, password: str | None = None) -> Reader:
    """A bound reader: the connector, which holds both rights, if nobody is named."""
    account, secret = lab.server.replication.connector
    found = lab.server.replication.bind(user or account.partition("\\")[2], password or secret)
    if isinstance(found, int):
        raise ValueError(f"the replication bind is refused with {found}")
    return found


def everything(lab: Lab, read: Reader) -> Page:
    """Read to the end, of no interest but for its marks; returns the last page.

    The last change is none of the check's: what changed at the very mark comes again from Samba.
    """
    lab.must(lab.set(lab.ou, description=f"{lab.usn()}"))
    lab.tick()
    page = read(Ask(attributes=["isDeleted"], max_objects=1000))
    while page.more and not page.error:
        page = read(Ask(page.cookie, ["isDeleted"], 1000))
    return page


def mine(lab: Lab, page: Page) -> list[Found]:
    """A page's objects that are the check's own."""
    return [each for each in page.objects if lab.mine in each.dn]


def guid_of(lab: Lab, dn: str) -> UUID:
    """An object's GUID."""
    return UUID(bytes_le=lab.raw(dn, "objectGUID")[0])


def shape(lab: Lab, found: Found) -> Observation:
    """An object's name, and of each attribute the sizes on the wire and of the plain values."""
    sizes = {name: [len(value) for value in found.attributes[name]] for name in sorted(found.attributes)}
    wire = {name: list(found.sizes[name]) for name in sorted(found.sizes)}
    for name in ("supplementalCredentials", "description", "sAMAccountName"):  # of any length, or UTF-16 there
        if name in sizes:
            sizes[name] = wire[name] = [min(1, size) for size in sizes[name]]
    return lab.plain("dn", found.dn.split(",")[0].encode()), sizes, wire


@area.table({f"{held}-{asked}": (held, asked) for held in RIGHTS for asked in SETS})
def rights(lab: Lab, row: tuple[str, str]) -> Observation:
    """Rights held against attributes asked for, over the whole naming context; something has each of them."""
    lab.user(description="x")
    return _with_rights(lab, row[0], Ask(attributes=SETS[row[1]], max_objects=20))


@area.table(
    {f"{held}-{asked}": (held, asked) for held in RIGHTS for asked in ("everything", "unicodepwd", "pwdlastset")}
)
def rights_for_one_object(lab: Lab, row: tuple[str, str]) -> Observation:
    """The same for one object alone."""
    dn = lab.user()
    return _with_rights(lab, row[0], Ask(attributes=SETS[row[1]], object=guid_of(lab, dn)))


@area.table({held: held for held in RIGHTS})
def rights_for_special(lab: Lab, held: str) -> Observation:
    """The same with SPECIAL_SECRET_PROCESSING: an object, whether secrets have values."""
    cookie = everything(lab, reader(lab)).cookie
    dn = lab.user()
    lab.server.replication.grant(RIGHTS[held])
    try:
        page = reader(lab)(Ask(cookie, special=True))
    finally:
        lab.server.replication.grant(RIGHTS["both"])
    found = [each for each in mine(lab, page) if each.dn == dn]
    secrets = ("unicodePwd", "ntPwdHistory", "supplementalCredentials")
    return page.error, [{name: len(each.attributes.get(name, ())) for name in secrets} for each in found]


def _with_rights(lab: Lab, held: str, ask: Ask) -> Observation:
    lab.server.replication.grant(RIGHTS[held])
    try:
        page = reader(lab)(ask)
    finally:
        lab.server.replication.grant(RIGHTS["both"])
    return page.error, len(page.objects) > 0


@area.table({"right": PASSWORD, "wrong": "Wrong-1234"})
def bind_of_user(lab: Lab, password: str) -> Observation:
    """Users bind; they have no right."""
    lab.user()
    found = lab.server.replication.bind(lab.name("u"), password)
    return found if isinstance(found, int) else found(Ask(attributes=["pwdLastSet"])).error


@area.table(
    {"disabled": {"userAccountControl": "514"}, "must-change": {"pwdLastSet": "0"}, "expired": {"accountExpires": "1"}}
)
def bind_of_state(lab: Lab, values: dict[str, str]) -> Observation:
    """Accounts that cannot log on."""
    dn = lab.user()
    lab.must(lab.set(dn, **values))
    found = lab.server.replication.bind(lab.name("u"), PASSWORD)
    return found if isinstance(found, int) else "bound"


@area.check
def bind_of_nobody(lab: Lab) -> Observation:
    """An account that does not exist."""
    found = lab.server.replication.bind(lab.name("nobody"), PASSWORD)
    return found if isinstance(found, int) else "bound"


PASSWORDS = {
    "ascii": PASSWORD,
    "umlauts": "Grüße-2017",
    "cyrillic": "Пароль-2017",
    "emoji": "Key-\U0001f511-2017",
    "long": "Aa1!" + "x" * 200,
}


@area.table(PASSWORDS)
def hash_of(lab: Lab, password: str) -> Observation:
    """What is decrypted is the NT hash."""
    dn = lab.user(password=password)
    (found,) = reader(lab)(Ask(attributes=["unicodePwd"], object=guid_of(lab, dn))).objects
    values = found.attributes["unicodePwd"]
    return [bytes(value) == nt_hash(password) for value in values], list(found.sizes["unicodePwd"])


DOINGS = {
    "reset": lambda lab, dn: lab.reset(dn, OTHER),
    "must-change": lambda lab, dn: lab.set(dn, pwdLastSet="0"),
    "description": lambda lab, dn: lab.set(dn, description="x"),
    "delete": lambda lab, dn: lab.delete(dn),
    "disable": lambda lab, dn: lab.set(dn, userAccountControl="514"),
    "bind": lambda lab, dn: lab.bind(dn),
    "wrong-bind": lambda lab, dn: lab.bind(dn, "Wrong-1"),
    "change": lambda lab, dn: lab.change(dn, PASSWORD, OTHER, lab.admin),
    "rename": lambda lab, dn: lab.rename(dn, f"CN={lab.mine}new"),
    "nothing": lambda lab, dn: None,
    "refused": lambda lab, dn: lab.reset(dn, "x"),
    "smartcard": lambda lab, dn: lab.set(dn, userAccountControl="262656"),
}


@area.table({f"{name}-{kind}": (name, kind) for name in DOINGS for kind in ("everything", "watched")})
def delta(lab: Lab, row: tuple[str, str]) -> Observation:
    """What comes after a doing."""
    dn = lab.user()
    read = reader(lab)
    attributes = None if row[1] == "everything" else WATCHED
    cookie = everything(lab, read).cookie
    answer = DOINGS[row[0]](lab, dn)
    page = read(Ask(cookie, attributes))
    return answer, page.error, page.more, [shape(lab, each) for each in mine(lab, page)]


@area.check
def created(lab: Lab) -> Observation:
    """What comes of new objects: with a password, without, a contact, a group."""
    read = reader(lab)
    _ = lab.ou
    cookie = everything(lab, read).cookie
    lab.user()
    lab.user("v", password=None)
    lab.contact()
    lab.group()
    return [shape(lab, each) for each in mine(lab, read(Ask(cookie, WATCHED)))]


@area.check
def two_resets(lab: Lab) -> Observation:
    """Two resets are one entry, with the last hash and the history."""
    dn = lab.user()
    read = reader(lab)
    cookie = everything(lab, read).cookie
    lab.must(lab.reset(dn, OTHER))
    lab.must(lab.reset(dn, THIRD))
    (found,) = mine(lab, read(Ask(cookie, WATCHED)))
    history = found.attributes["ntPwdHistory"][0]
    hashes = {nt_hash(password): password for password in (PASSWORD, OTHER, THIRD)}
    return (
        [hashes.get(bytes(value)) for value in found.attributes["unicodePwd"]],
        [hashes.get(bytes(history[at : at + 16])) for at in range(0, len(history), 16)],
        [int.from_bytes(value, "little") > 0 for value in found.attributes["pwdLastSet"]],
    )


@area.check
def order(lab: Lab) -> Observation:
    """Entries come in the order of each object's last change."""
    users = {name: lab.user(name) for name in "abc"}
    read = reader(lab)
    cookie = everything(lab, read).cookie
    for number, name in enumerate("abcab"):
        lab.must(lab.reset(users[name], f"Number-{number}-x"))
    return [each.dn.split(",")[0] for each in mine(lab, read(Ask(cookie, WATCHED)))]


@area.check
def pages(lab: Lab) -> Observation:
    """Pages of one object: marks while more is to come, and at the end."""
    users = [lab.user(name) for name in "abc"]
    read = reader(lab)
    start = everything(lab, read)
    for dn in users:
        lab.must(lab.reset(dn, OTHER))
    seen, page = [], start
    for _ in range(8):
        before, page = page, read(Ask(page.cookie, WATCHED, 1))
        names = [each.dn.split(",")[0] for each in page.objects]
        seen.append((names, page.more, page.tmp > before.tmp, page.highest > before.highest))
        if not page.more:
            break
    return seen


@area.check
def change_between_pages(lab: Lab) -> Observation:
    """An object that changes again while pages are read."""
    users = [lab.user(name) for name in "abc"]
    read = reader(lab)
    page = everything(lab, read)
    for dn in users:
        lab.must(lab.reset(dn, OTHER))
    names = []
    for turn in range(10):
        page = read(Ask(page.cookie, WATCHED, 1))
        names += [each.dn.split(",")[0] for each in page.objects]
        if turn == 0:
            lab.must(lab.reset(users[0], THIRD))
        if not page.more:
            break
    return names


@area.check
def idle(lab: Lab) -> Observation:
    """Nothing comes twice."""
    dn = lab.user()
    read = reader(lab)
    cookie = everything(lab, read).cookie
    lab.must(lab.reset(dn, OTHER))
    first = read(Ask(cookie, WATCHED))
    second = read(Ask(first.cookie, WATCHED))
    return (
        len(mine(lab, first)),
        len(second.objects),
        second.more,
        second.tmp == first.tmp,
        second.highest == first.highest,
    )


@area.check
def supplemental_credentials(lab: Lab) -> Observation:
    """What stands in supplementalCredentials."""
    dn = lab.user()
    (found,) = reader(lab)(Ask(attributes=["supplementalCredentials"], object=guid_of(lab, dn))).objects
    return [packages(bytes(value)) for value in found.attributes.get("supplementalCredentials", ())]


@area.check
def history(lab: Lab) -> Observation:
    """The history after some changes."""
    dn = lab.user(password="Number-0")
    for number in range(1, 5):
        lab.must(lab.reset(dn, f"Number-{number}"))
    (found,) = reader(lab)(Ask(attributes=["ntPwdHistory"], object=guid_of(lab, dn))).objects
    octets = b"".join(bytes(each) for each in found.attributes["ntPwdHistory"])
    known = {nt_hash(f"Number-{number}"): number for number in range(5)}
    return [known.get(octets[at : at + 16]) for at in range(0, len(octets), 16)]


@area.check
def single_object(lab: Lab) -> Observation:
    """One object, whatever it is."""
    read = reader(lab)
    return [
        [shape(lab, each) for each in read(Ask(attributes=WATCHED, object=guid_of(lab, dn))).objects]
        for dn in (lab.user(), lab.contact(), lab.user("v", password=None))
    ]


@area.check
def errors(lab: Lab) -> Observation:
    """A naming context that is not there, one that is no head, an object that is not there."""
    read = reader(lab)
    return [
        read(Ask(attributes=WATCHED, context="DC=else,DC=example")).error,
        read(Ask(attributes=WATCHED, context=lab.ou)).error,
        read(Ask(attributes=WATCHED, context="rubbish")).error,
        read(Ask(attributes=WATCHED, object=UUID(int=5))).error,
    ]


@area.check
def deleted_object(lab: Lab) -> Observation:
    """A deleted object, alone."""
    dn = lab.user()
    guid = guid_of(lab, dn)
    lab.must(lab.delete(dn))
    page = reader(lab)(Ask(attributes=WATCHED, object=guid))
    return page.error, [shape(lab, each)[1:] for each in page.objects]


@area.check
def right_taken_away(lab: Lab) -> Observation:
    """A right that is taken away while bound."""
    read = reader(lab)
    seen = []
    for held in ("both", "get-changes", "none", "both"):
        lab.server.replication.grant(RIGHTS[held])
        seen.append(read(Ask(attributes=["unicodePwd"], max_objects=5)).error)
    return seen


@area.check
def by_administrator(lab: Lab) -> Observation:
    """An administrator holds both rights."""
    read = reader(lab, "Administrator", lab.server.administrator[1])
    return read(Ask(attributes=WATCHED, max_objects=5)).error

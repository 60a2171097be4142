"""unicodePwd: who sets it how, what is refused, and what a new password changes."""

from __future__ import annotations

from conformance.catalogue import Area, Observation
from conformance.lab import ADD, DELETE, OTHER, PASSWORD, REPLACE, THIRD, Change, Lab, Said, quoted

area = Area("unicodePwd")

NEW = {
    "good": OTHER,
    "same": PASSWORD,
    "too-short": "Ab1!xy",
    "seven": "Ab1!xyz",
    "not-complex": "alllowercase",
    "two-classes": "lower1234",
    "three-classes": "Lower1234",
    "unicode-letters": "пароль1234",
    "umlauts": "ÄÖÜäöü12",
    "japanese": "パスワード123a",
    "emoji": "Key-\U0001f511-1234",
    "spaces": "Ab1 with spaces",
    "only-spaces": "        ",
    "127": "Aa1!" + "x" * 123,
    "128": "Aa1!" + "x" * 124,
    "256": "Aa1!" + "x" * 252,
    "257": "Aa1!" + "x" * 253,
    "quotes": 'Ab1"inside"',
    "null": "Ab1!\0\0xyz",
    "empty": "",
    "one": "x",
    "tab": "Ab1!\txyz",
    "combining": "Ab1e\u0301xyz!",
    "titlecase": "ǅǈǋabc12",
    "upper-digits": "UPPER1234",
    "specials": '!"§$%&/()=?',
    "lower-special": "lower!!!!",
    "unassigned": "Ab1!\U000e0fffxyz",
}


@area.table(NEW)
def reset_to(lab: Lab, password: str) -> Observation:
    """An administrator's reset; what binds then."""
    dn = lab.user()
    answer = lab.reset(dn, password)
    return answer, lab.bind(dn, password) if password else None, lab.bind(dn), lab.read(dn, "pwdLastSet")


@area.table({key: NEW[key] for key in ("good", "too-short", "not-complex", "three-classes", "empty", "257", "emoji")})
def add_with(lab: Lab, password: str) -> Observation:
    """A password given when the object is made."""
    given = {"sAMAccountName": lab.name("o"), "userAccountControl": "512", "unicodePwd": quoted(password)}
    answer = lab.add(lab.dn("o"), "user", given)
    shown = lab.read(lab.dn("o"), "pwdLastSet", "userAccountControl")
    return answer, shown, lab.bind(lab.dn("o"), password) if password else None


@area.table(
    {
        "good": (PASSWORD, OTHER),
        "wrong-old": ("Wrong-1234", OTHER),
        "same": (PASSWORD, PASSWORD),
        "too-short": (PASSWORD, "Ab1!"),
        "not-complex": (PASSWORD, "alllowercase"),
        "empty-new": (PASSWORD, ""),
        "empty-old": ("", OTHER),
        "case-of-old": (PASSWORD.upper(), OTHER),
    }
)
def own_change(lab: Lab, row: tuple[str, str]) -> Observation:
    """A user's own change; what binds then."""
    dn = lab.user()
    answer = lab.change(dn, *row, by=lab.connect(dn))
    return answer, lab.bind(dn, OTHER), lab.bind(dn), lab.read(dn, "pwdLastSet", "badPwdCount")


@area.check
def own_change_in_history(lab: Lab) -> Observation:
    """A user's way back to an earlier password."""
    dn = lab.user()
    user = lab.connect(dn)
    return [lab.change(dn, old, new, by=user) for old, new in ((PASSWORD, OTHER), (OTHER, THIRD), (THIRD, PASSWORD))]


@area.with_policy(pwdHistoryLength="3")
def history_of_three(lab: Lab) -> Observation:
    """How far back a history of three reaches."""
    dn = lab.user(password="Number-0000")
    user = lab.connect(dn, "Number-0000")
    seen = []
    for number in range(1, 5):
        seen.append(lab.change(dn, f"Number-{number - 1:04}", f"Number-{number:04}", by=user))
    for back in (3, 2, 1):
        seen.append(lab.change(dn, "Number-0004", f"Number-{back:04}", by=user))
    return seen


@area.with_policy(pwdHistoryLength="0")
def no_history(lab: Lab) -> Observation:
    """Without a history, the same password may be set again."""
    dn = lab.user()
    user = lab.connect(dn)
    return [lab.change(dn, *pair, by=user) for pair in ((PASSWORD, PASSWORD), (PASSWORD, OTHER), (OTHER, PASSWORD))]


@area.with_policy(pwdHistoryLength="3")
def reset_counts_in_history(lab: Lab) -> Observation:
    """Passwords that an administrator set are in the history too."""
    dn = lab.user()
    answers: list[Observation] = [lab.reset(dn, OTHER), lab.reset(dn, THIRD), lab.reset(dn, PASSWORD)]
    user = lab.connect(dn)
    return [*answers, lab.change(dn, PASSWORD, OTHER, by=user), lab.change(dn, PASSWORD, "Fresh-1234", by=user)]


@area.with_policy(minPwdAge=str(-864_000_000_000))
def minimum_age(lab: Lab) -> Observation:
    """A password that is too young to be changed; resets do not care."""
    dn = lab.user()
    user = lab.connect(dn)
    seen: list[Observation] = [lab.change(dn, PASSWORD, OTHER, by=user), lab.reset(dn, THIRD)]
    seen.append(lab.change(dn, THIRD, OTHER, by=lab.connect(dn, THIRD)))
    return seen


@area.with_policy(minPwdAge=str(-864_000_000_000))
def minimum_age_must_change(lab: Lab) -> Observation:
    """Who must change may do so at once, by another's hand: he cannot bind."""
    dn, helper = lab.user(), lab.user("helper")
    lab.must(lab.set(dn, pwdLastSet="0"))
    return lab.bind(dn), lab.change(dn, PASSWORD, OTHER, by=lab.connect(helper)), lab.bind(dn, OTHER)


@area.with_policy(minPwdLength="12")
def minimum_length(lab: Lab) -> Observation:
    """The domain's minimum length."""
    dn = lab.user(password="Long-enough-1234")
    return [lab.reset(dn, password) for password in ("Eleven-1234", "Twelve-12345", "Thirteen-1234")]


@area.with_policy(minPwdLength="0")
def no_minimum_length(lab: Lab) -> Observation:
    """Minimum length 0: complexity still asks for classes; the empty password."""
    dn = lab.user()
    return [lab.reset(dn, password) for password in ("Ab1", "a", "")]


@area.with_policy(pwdProperties="0")
def no_complexity(lab: Lab) -> Observation:
    """Without complexity only the length counts."""
    dn = lab.user()
    return [lab.reset(dn, password) for password in ("lower", "lowercase", "1234567", lab.name("u"))]


@area.with_policy(pwdProperties="0", minPwdLength="0")
def nothing_demanded(lab: Lab) -> Observation:
    """No rule at all: the empty password, and binding with it."""
    dn = lab.user()
    return [lab.reset(dn, password) for password in ("x", "")], lab.read(dn, "pwdLastSet")


@area.check
def own_replace(lab: Lab) -> Observation:
    """A user may not replace his own password, only change it."""
    dn = lab.user()
    return lab.reset(dn, OTHER, by=lab.connect(dn)), lab.bind(dn)


@area.check
def reset_of_another(lab: Lab) -> Observation:
    """A user without rights may not reset another's password."""
    dn, other = lab.user(), lab.user("v")
    return lab.reset(other, OTHER, by=lab.connect(dn)), lab.bind(other)


@area.table({"right": PASSWORD, "wrong": "Wrong-1234"})
def change_of_another(lab: Lab, old: str) -> Observation:
    """A user changes another's password, knowing it or not."""
    dn, other = lab.user(), lab.user("v")
    answer = lab.change(other, old, OTHER, by=lab.connect(dn))
    return answer, lab.bind(other, OTHER), lab.read(other, "badPwdCount")


@area.check
def anonymous(lab: Lab) -> Observation:
    """Nobody's reset and change."""
    dn = lab.user()
    nobody = lab.server.open(None, None)
    return lab.reset(dn, OTHER, by=nobody), lab.change(dn, PASSWORD, OTHER, by=nobody), lab.bind(dn)


RAW: dict[str, list[Change]] = {
    "not-quoted": [("unicodePwd", REPLACE, [OTHER.encode("utf-16-le")])],
    "utf-8": [("unicodePwd", REPLACE, [f'"{OTHER}"'.encode()])],
    "odd": [("unicodePwd", REPLACE, [quoted(OTHER) + b"x"])],
    "one-quote": [("unicodePwd", REPLACE, [f'"{OTHER}'.encode("utf-16-le")])],
    "big-endian": [("unicodePwd", REPLACE, [f'"{OTHER}"'.encode("utf-16-be")])],
    "byte-order-mark": [("unicodePwd", REPLACE, [f'"{OTHER}"'.encode("utf-16")])],
    "only-quotes": [("unicodePwd", REPLACE, [b'"\x00'])],
    "one-byte": [("unicodePwd", REPLACE, [b"x"])],
    "empty-octets": [("unicodePwd", REPLACE, [b""])],
    "lone-surrogate": [("unicodePwd", REPLACE, [b'"\x00' + b"\x00\xd8" + OTHER.encode("utf-16-le") + b'"\x00'])],
    "add-only": [("unicodePwd", ADD, [quoted(OTHER)])],
    "delete-only": [("unicodePwd", DELETE, [quoted(PASSWORD)])],
    "delete-all": [("unicodePwd", DELETE, [])],
    "replace-nothing": [("unicodePwd", REPLACE, [])],
    "replace-two": [("unicodePwd", REPLACE, [quoted(OTHER), quoted(THIRD)])],
    "add-then-delete": [("unicodePwd", ADD, [quoted(OTHER)]), ("unicodePwd", DELETE, [quoted(PASSWORD)])],
    "delete-then-add": [("unicodePwd", DELETE, [quoted(PASSWORD)]), ("unicodePwd", ADD, [quoted(OTHER)])],
    "delete-wrong-then-add": [("unicodePwd", DELETE, [quoted("Wrong-1")]), ("unicodePwd", ADD, [quoted(OTHER)])],
    "delete-two-then-add": [
        ("unicodePwd", DELETE, [quoted(PASSWORD), quoted(THIRD)]),
        ("unicodePwd", ADD, [quoted(OTHER)]),
    ],
    "delete-then-add-two": [
        ("unicodePwd", DELETE, [quoted(PASSWORD)]),
        ("unicodePwd", ADD, [quoted(OTHER), quoted(THIRD)]),
    ],
    "delete-nothing-then-add": [("unicodePwd", DELETE, []), ("unicodePwd", ADD, [quoted(OTHER)])],
    "replace-and-add": [("unicodePwd", REPLACE, [quoted(OTHER)]), ("unicodePwd", ADD, [quoted(THIRD)])],
    "replace-twice": [("unicodePwd", REPLACE, [quoted(OTHER)]), ("unicodePwd", REPLACE, [quoted(THIRD)])],
    "with-must-change": [("unicodePwd", REPLACE, [quoted(OTHER)]), ("pwdLastSet", REPLACE, ["0"])],
    "with-minus-one": [("unicodePwd", REPLACE, [quoted(OTHER)]), ("pwdLastSet", REPLACE, ["-1"])],
    "with-other-attribute": [("description", REPLACE, ["x"]), ("unicodePwd", REPLACE, [quoted(OTHER)])],
    "with-bad-other": [("unicodePwd", REPLACE, [quoted(OTHER)]), ("countryCode", REPLACE, ["x"])],
    "bad-with-other": [("description", REPLACE, ["x"]), ("unicodePwd", REPLACE, [quoted("x")])],
    "with-enabling": [("unicodePwd", REPLACE, [quoted(OTHER)]), ("userAccountControl", REPLACE, ["512"])],
    "dbcspwd": [("dBCSPwd", REPLACE, [b"x" * 16])],
    "nt-history": [("ntPwdHistory", REPLACE, [b"x" * 16])],
    "lm-history": [("lmPwdHistory", REPLACE, [b"x" * 16])],
    "credentials": [("supplementalCredentials", REPLACE, [b"x" * 16])],
    "clear-text": [("clearTextPassword", REPLACE, [OTHER.encode("utf-16-le")])],
    "user-password": [("userPassword", REPLACE, [OTHER])],
    "lower-case-name": [("UNICODEPWD", REPLACE, [quoted(OTHER)])],
    "by-oid": [("1.2.840.113556.1.4.90", REPLACE, [quoted(OTHER)])],
}


@area.table(RAW)
def modify(lab: Lab, changes: list[Change]) -> Observation:
    """Forms of a modify, by the administrator; what binds and what has changed then."""
    dn = lab.user()
    lab.mark()
    answer = lab.modify(dn, *changes)
    binds = [lab.bind(dn, password) for password in (PASSWORD, OTHER, THIRD)]
    return answer, lab.risen() if answer.code else None, binds, lab.read(dn, "description", "pwdLastSet")


@area.table(
    {
        key: RAW[key]
        for key in (
            "add-only",
            "delete-only",
            "delete-all",
            "replace-nothing",
            "add-then-delete",
            "delete-nothing-then-add",
            "not-quoted",
            "odd",
            "dbcspwd",
            "nt-history",
            "user-password",
            "with-must-change",
        )
    }
)
def own_modify(lab: Lab, changes: list[Change]) -> Observation:
    """The same forms by the user himself."""
    dn = lab.user()
    return lab.modify(dn, *changes, by=lab.connect(dn)), lab.bind(dn), lab.bind(dn, OTHER)


@area.table({"whole-name": "{}-Secret1", "upper-name": "{}!Secret-9"})
def holds_account_name(lab: Lab, form: str) -> Observation:
    """A password that holds the account's name."""
    dn = lab.user("annasmith")
    password = form.format(lab.name("annasmith").upper() if "!" in form else lab.name("annasmith"))
    return lab.reset(dn, password), lab.change(dn, PASSWORD, password, by=lab.connect(dn))


@area.table({"first": "Winterbergh-12!", "short-token": "Bo-is-fine-12!", "second": "xx-Margarete-12"})
def holds_display_name(lab: Lab, password: str) -> Observation:
    """A password that holds a part of the display name."""
    dn = lab.user(displayName="Margarete Bo Winterbergh")
    return lab.reset(dn, password)


@area.check
def missing_object(lab: Lab) -> Observation:
    """No object, no password; an OU has none either."""
    return lab.reset(f"CN=nobody,{lab.ou}", OTHER), lab.reset(lab.ou, OTHER), lab.reset(lab.contact(), OTHER)


@area.table({"group": "group", "computer": "computer", "inetorgperson": "inetOrgPerson"})
def reset_of_class(lab: Lab, kind: str) -> Observation:
    """Passwords of other classes."""
    name = lab.name("o") + ("$" if kind == "computer" else "")
    lab.must(lab.add(lab.dn("o"), kind, {"sAMAccountName": name}))
    return lab.reset(lab.dn("o"), OTHER), lab.read(lab.dn("o"), "pwdLastSet", "userAccountControl")


SECRETS = ("unicodePwd", "dBCSPwd", "ntPwdHistory", "lmPwdHistory", "supplementalCredentials", "userPassword")


@area.table({name.lower(): name for name in SECRETS})
def reading(lab: Lab, name: str) -> Observation:
    """Secrets by name, among all, in a filter, by comparison; as administrator and as the user."""
    dn = lab.user()
    lab.must(lab.reset(dn, OTHER))
    user = lab.connect(dn, OTHER)
    seen: list[Observation] = [lab.read(dn, name), lab.read(dn, name, by=user), name in lab.read(dn)]
    seen.append(lab.names(f"({name}=*)"))
    return [*seen, lab.compare(dn, name, quoted(OTHER)), lab.compare(dn, name, quoted(OTHER), by=user)]


@area.table({"administrator": "admin", "self": "self"})
def user_password(lab: Lab, who: str) -> Observation:
    """userPassword is a plain attribute."""
    dn = lab.user()
    answer = lab.set(dn, by=lab.connect(dn) if who == "self" else None, userPassword=OTHER)
    return answer, lab.bind(dn), lab.bind(dn, OTHER), lab.read(dn, "pwdLastSet")


@area.table({"plain": "plain", "starttls": "starttls", "ldaps": "ldaps"})
def connection(lab: Lab, how: str) -> Observation:
    """Whether a password can be used over a connection without protection."""
    return lab.bind(lab.user(), how=how)


@area.check
def over_starttls(lab: Lab) -> Observation:
    """A reset over StartTLS is as good as over LDAPS."""
    dn = lab.user()
    user = lab.connect(dn, how="starttls")
    return lab.change(dn, PASSWORD, OTHER, by=user), lab.bind(dn, OTHER)


@area.table({"512": "512", "544": "544", "66048": "66048", "262656": "262656"})
def enable_without_password(lab: Lab, flags: str) -> Observation:
    """Enabling an account that never had a password."""
    dn = lab.user(password=None)
    return lab.set(dn, userAccountControl=flags), lab.read(dn, "userAccountControl", "pwdLastSet")


@area.table({"modify-password": "1.3.6.1.4.1.4203.1.11.1", "who-am-i": "1.3.6.1.4.1.4203.1.11.3", "rubbish": "1.2.3.4"})
def extended(lab: Lab, oid: str) -> Observation:
    """Extended operations."""
    connection = lab.admin
    connection.extended(oid)
    return Said(connection.result["result"])


@area.check
def must_change_then_reset(lab: Lab) -> Observation:
    """A temporary password: must-change goes with the next reset."""
    dn = lab.user()
    seen: list[Observation] = []
    seen.append(lab.modify(dn, ("unicodePwd", REPLACE, [quoted(OTHER)]), ("pwdLastSet", REPLACE, ["0"])))
    seen += [lab.read(dn, "pwdLastSet"), lab.bind(dn, OTHER)]
    return [*seen, lab.reset(dn, THIRD), lab.read(dn, "pwdLastSet"), lab.bind(dn, THIRD)]


@area.check
def disabled_account(lab: Lab) -> Observation:
    """Resets of a disabled account; its own change is not possible."""
    dn, helper = lab.user(), lab.user("helper")
    lab.must(lab.set(dn, userAccountControl="514"))
    change = lab.change(dn, PASSWORD, THIRD, by=lab.connect(helper))
    return change, lab.reset(dn, OTHER), lab.read(dn, "pwdLastSet", "userAccountControl")


@area.check
def cannot_change(lab: Lab) -> Observation:
    """A user whose password is not required may have none."""
    dn = lab.user(userAccountControl="544")
    return lab.reset(dn, ""), lab.reset(dn, "x"), lab.reset(dn, OTHER)

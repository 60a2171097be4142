"""pwdLastSet, userAccountControl, expiry and lockout, with a scripted clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from conformance.catalogue import Area, Course, Observation
from conformance.lab import ADD, DELETE, EPOCH, OTHER, PASSWORD, REPLACE, THIRD, Lab

area = Area("accounts")

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
TICKS_OF_DAY = 864_000_000_000
COUNTERS = ("badPwdCount", "badPasswordTime", "lockoutTime", "lastLogon", "logonCount", "pwdLastSet")
COMPUTED = ("msDS-User-Account-Control-Computed", "msDS-UserPasswordExpiryTimeComputed", "userAccountControl")


def ticks(moment: datetime) -> str:
    """A time as FILETIME."""
    return str((moment - EPOCH) // timedelta(microseconds=1) * 10)


@area.table(
    {
        "zero": "0",
        "minus-one": "-1",
        "minus-two": "-2",
        "one": "1",
        "now": "131287716000000000",
        "rubbish": "x",
        "huge": "9223372036854775807",
        "nothing": [],
    }
)
def pwdlastset_to(lab: Lab, value: str | list[str]) -> Observation:
    """What may be written to pwdLastSet."""
    dn = lab.user()
    return lab.set(dn, pwdLastSet=value), lab.read(dn, "pwdLastSet", *COMPUTED), lab.bind(dn)


@area.table({"zero": "0", "minus-one": "-1", "other": "5"})
def pwdlastset_from_zero(lab: Lab, value: str) -> Observation:
    """The same once it is 0."""
    dn = lab.user()
    lab.must(lab.set(dn, pwdLastSet="0"))
    return lab.set(dn, pwdLastSet=value), lab.read(dn, "pwdLastSet"), lab.bind(dn)


@area.table({"zero": "0", "minus-one": "-1"})
def own_pwdlastset(lab: Lab, value: str) -> Observation:
    """A user may not write his own."""
    dn = lab.user()
    return lab.set(dn, by=lab.connect(dn), pwdLastSet=value), lab.read(dn, "pwdLastSet")


@area.timed
def pwdlastset_minus_one_later(lab: Lab) -> Course:
    """-1 is now, not what it was; and nothing where it was not 0."""
    dn, other = lab.user(), lab.user("v")
    lab.must(lab.set(dn, pwdLastSet="0"))
    yield HOUR
    seen = [lab.set(each, pwdLastSet="-1") for each in (dn, other)]
    return seen, lab.read(dn, "pwdLastSet"), lab.read(other, "pwdLastSet")


FLAGS = {
    "disable": "514",
    "never-expires": "66048",
    "not-required": "544",
    "smartcard": "262656",
    "locked-bit": "528",
    "cannot-change-bit": "576",
    "expired-bit": "8389120",
    "encrypted-text": "640",
    "delegation": "524800",
    "not-delegated": "1049088",
    "des-only": "2097664",
    "no-preauth": "4194816",
    "trusted-to-auth": "16777728",
    "partial-secrets": "67109376",
    "server-trust": "8704",
    "workstation": "4096",
    "server": "8192",
    "interdomain": "2048",
    "zero": "0",
    "only-disable": "2",
    "temp-duplicate": "256",
    "two-types": "4608",
    "script": "513",
    "home": "520",
    "unknown-bit": "134218240",
    "negative": "-1",
    "rubbish": "x",
    "nothing": [],
    "majority": "131584",
}


@area.table(FLAGS)
def flags(lab: Lab, flags: str | list[str]) -> Observation:
    """What may be written to userAccountControl, and what it is then."""
    dn = lab.user()
    answer = lab.set(dn, userAccountControl=flags)
    shown = lab.read(dn, "userAccountControl", "sAMAccountType", "primaryGroupID", "pwdLastSet", *COMPUTED[:2])
    return answer, shown, lab.bind(dn)


@area.table({key: FLAGS[key] for key in ("disable", "never-expires", "smartcard", "delegation")})
def own_flags(lab: Lab, flags: str) -> Observation:
    """A user may not write his own."""
    dn = lab.user()
    return lab.set(dn, by=lab.connect(dn), userAccountControl=flags)


@area.check
def smartcard_bind(lab: Lab) -> Observation:
    """Whether the password still binds once a smartcard is required."""
    dn = lab.user()
    lab.must(lab.set(dn, userAccountControl="262656"))
    return lab.bind(dn), lab.read(dn, "pwdLastSet", *COMPUTED)


@area.timed
def expiry(lab: Lab) -> Course:
    """A password's expiry after 42 days: computed attributes and binds around it."""
    dn, forever = lab.user(), lab.user("v", userAccountControl="66048")
    seen: list[Observation] = [lab.read(dn, *COMPUTED), lab.read(forever, *COMPUTED)]
    for pause in (42 * DAY - MINUTE, 2 * MINUTE):
        yield pause
        for user in (dn, forever):
            seen += [lab.read(user, *COMPUTED), lab.bind(user), lab.bind(user, "Wrong-1234")]
    seen += [lab.reset(dn, OTHER), lab.bind(dn, OTHER), lab.read(dn, *COMPUTED)]
    return seen


@area.timed
def expiry_to_the_second(lab: Lab) -> Course:
    """Which second is the first that is too late."""
    dn = lab.user()
    seen = []
    for pause in (42 * DAY - SECOND, SECOND, SECOND):
        yield pause
        seen.append((lab.bind(dn), lab.read(dn, COMPUTED[0])))
    return seen


@area.timed
def change_of_expired(lab: Lab) -> Course:
    """An expired password cannot be changed by its owner, who cannot bind; by another who knows it, it can."""
    dn, helper = lab.user(), lab.user("helper", userAccountControl="66048")
    yield 43 * DAY
    return lab.change(dn, PASSWORD, OTHER, by=lab.connect(helper)), lab.bind(dn, OTHER)


@area.with_policy(timed=True, maxPwdAge="0")
def no_maximum_age(lab: Lab) -> Course:
    """maxPwdAge 0: passwords never expire."""
    dn = lab.user()
    yield 50 * DAY
    return lab.read(dn, *COMPUTED), lab.bind(dn)


@area.with_policy(maxPwdAge="-9223372036854775808")
def never_as_maximum_age(lab: Lab) -> Observation:
    """maxPwdAge -2^63: the same."""
    return lab.read(lab.user(), *COMPUTED)


@area.with_policy(timed=True, maxPwdAge=str(-5 * TICKS_OF_DAY))
def five_days(lab: Lab) -> Course:
    """A short maximum age."""
    dn, computer = lab.user(), lab.dn("host")
    lab.must(lab.add(computer, "computer", {"sAMAccountName": lab.name("host$"), "userAccountControl": "4128"}))
    lab.must(lab.reset(computer, OTHER))
    seen: list[Observation] = [lab.read(dn, *COMPUTED), lab.read(computer, *COMPUTED)]
    yield 6 * DAY
    return [*seen, lab.read(dn, *COMPUTED), lab.read(computer, *COMPUTED), lab.bind(dn), lab.bind(computer, OTHER)]


@area.table(
    {
        "must-change": {"pwdLastSet": "0"},
        "never": {"userAccountControl": "66048"},
        "smartcard": {"userAccountControl": "262656"},
        "disabled": {"userAccountControl": "514"},
        "both": {"pwdLastSet": "0", "userAccountControl": "66048"},
        "not-required": {"userAccountControl": "544"},
    }
)
def computed(lab: Lab, values: dict[str, str]) -> Observation:
    """The computed attributes of accounts in various states."""
    dn = lab.user()
    return lab.set(dn, **values), lab.read(dn, *COMPUTED), lab.bind(dn)


@area.check
def computed_of_others(lab: Lab) -> Observation:
    """The computed attributes of what is no user."""
    return [lab.read(dn, *COMPUTED) for dn in (lab.contact(), lab.group(), lab.ou)]


@area.timed
def account_expires(lab: Lab) -> Course:
    """Accounts that expire: before, after, 0, never."""
    soon, zero, past = lab.user(), lab.user("v"), lab.user("w")
    answers = [
        lab.set(soon, accountExpires=ticks(lab.now + HOUR)),
        lab.set(zero, accountExpires="0"),
        lab.set(past, accountExpires=ticks(lab.now - DAY)),
    ]
    seen: list[Observation] = [answers, lab.bind(soon), lab.bind(zero), lab.bind(past), lab.bind(past, "Wrong-1234")]
    seen.append([lab.read(dn, "accountExpires", *COMPUTED) for dn in (soon, zero, past)])
    for pause in (HOUR - SECOND, SECOND, SECOND):
        yield pause
        seen.append(lab.bind(soon))
    seen += [lab.read(soon, *COMPUTED), lab.set(soon, accountExpires="9223372036854775807"), lab.bind(soon)]
    return seen


@area.table({"rubbish": "x", "one": "1", "nothing": []})
def account_expires_to(lab: Lab, value: str | list[str]) -> Observation:
    """What may be written to accountExpires."""
    dn = lab.user()
    return lab.set(dn, accountExpires=value), lab.read(dn, "accountExpires"), lab.bind(dn)


LOCKING = {"lockoutThreshold": "3"}


def fail(lab: Lab, dn: str, times: int = 1, password: str = "Wrong-1234") -> list[Observation]:
    """Try a wrong password a few times; each time the answer and the counters."""
    return [(lab.bind(dn, f"{password}{time}"), lab.read(dn, *COUNTERS[:3], COMPUTED[0])) for time in range(times)]


@area.with_policy(**LOCKING)
def lockout(lab: Lab) -> Observation:
    """Three wrong passwords lock; then nothing binds."""
    dn = lab.user()
    return fail(lab, dn, 5), lab.bind(dn), lab.read(dn, *COUNTERS, *COMPUTED)


@area.with_policy(**LOCKING)
def good_bind_forgets(lab: Lab) -> Observation:
    """A right password sets the counter back."""
    dn = lab.user()
    return fail(lab, dn, 2), lab.bind(dn), lab.read(dn, *COUNTERS), fail(lab, dn, 2), lab.bind(dn)


@area.with_policy(**LOCKING)
def reset_does_not_unlock(lab: Lab) -> Observation:
    """A reset does not unlock."""
    dn = lab.user()
    fail(lab, dn, 3)
    return lab.reset(dn, OTHER), lab.bind(dn, OTHER), lab.read(dn, *COUNTERS[:3])


@area.with_policy(**LOCKING)
def unlock(lab: Lab) -> Observation:
    """lockoutTime 0 unlocks and forgets."""
    dn = lab.user()
    fail(lab, dn, 3)
    return lab.set(dn, lockoutTime="0"), lab.read(dn, *COUNTERS, COMPUTED[0]), lab.bind(dn)


@area.table({"one": "1", "minus-one": "-1", "now": "131287716000000000", "nothing": [], "rubbish": "x"}, **LOCKING)
def lockouttime_to(lab: Lab, value: str | list[str]) -> Observation:
    """What else may be written to lockoutTime."""
    dn = lab.user()
    fail(lab, dn, 3)
    return lab.set(dn, lockoutTime=value), lab.read(dn, *COUNTERS[:3]), lab.bind(dn)


@area.with_policy(**LOCKING)
def unlock_by_flags(lab: Lab) -> Observation:
    """Whether writing userAccountControl unlocks."""
    dn = lab.user()
    fail(lab, dn, 3)
    return lab.set(dn, userAccountControl="512"), lab.read(dn, *COUNTERS[:3], *COMPUTED), lab.bind(dn)


@area.with_policy(**LOCKING)
def locked_and_disabled(lab: Lab) -> Observation:
    """A locked account that is disabled, or must change, too."""
    dn, other = lab.user(), lab.user("v")
    for each in (dn, other):
        fail(lab, each, 3)
    lab.must(lab.set(dn, userAccountControl="514"))
    lab.must(lab.set(other, pwdLastSet="0"))
    return [lab.bind(each, password) for each in (dn, other) for password in (PASSWORD, "Wrong-1234")]


@area.with_policy(**LOCKING)
def repeats_of_the_previous(lab: Lab) -> Observation:
    """Whether wrong binds with the two previous passwords are counted."""
    dn = lab.user()
    lab.must(lab.reset(dn, OTHER))
    lab.must(lab.reset(dn, THIRD))
    return [
        (lab.bind(dn, password), lab.read(dn, *COUNTERS[:3]))
        for password in (OTHER, PASSWORD, OTHER, PASSWORD, "Wrong-1234")
    ]


@area.with_policy(**LOCKING)
def wrong_old_password_counts(lab: Lab) -> Observation:
    """Changes with a wrong old password lock, too."""
    dn = lab.user()
    user = lab.connect(dn)
    answers = [(lab.change(dn, f"Wrong-{number}", OTHER, by=user), lab.read(dn, *COUNTERS[:3])) for number in range(4)]
    return answers, lab.bind(dn), lab.change(dn, PASSWORD, OTHER, by=user)


@area.with_policy(**LOCKING)
def bad_states_do_not_count(lab: Lab) -> Observation:
    """A right password that does not bind for another reason counts nothing; a wrong one counts."""
    dn, other = lab.user(), lab.user("v")
    lab.must(lab.set(dn, userAccountControl="514"))
    lab.must(lab.set(other, pwdLastSet="0"))
    seen: list[Observation] = []
    for each in (dn, other):
        seen += [lab.bind(each), lab.read(each, *COUNTERS[:3]), fail(lab, each, 2)]
    return seen


@area.with_policy(timed=True, **LOCKING)
def lockout_duration(lab: Lab) -> Course:
    """A lockout ends by itself after 30 minutes."""
    dn = lab.user()
    seen: list[Observation] = [fail(lab, dn, 3)]
    for pause in (29 * MINUTE, 2 * MINUTE):
        yield pause
        seen += [lab.read(dn, *COUNTERS[:3], COMPUTED[0]), lab.bind(dn), lab.read(dn, *COUNTERS[:3], COMPUTED[0])]
    return seen


@area.with_policy(timed=True, **LOCKING)
def lockout_duration_to_the_second(lab: Lab) -> Course:
    """Which second is the first that is unlocked."""
    dn, other = lab.user(), lab.user("v")
    for each in (dn, other):
        fail(lab, each, 3)
    seen: list[Observation] = []
    yield 30 * MINUTE - SECOND
    seen.append(lab.bind(dn))
    yield SECOND
    seen.append(lab.bind(dn))
    yield SECOND
    return [*seen, lab.bind(other), lab.read(other, *COUNTERS[:3])]


@area.with_policy(timed=True, **LOCKING)
def wrong_again_after_lockout(lab: Lab) -> Course:
    """A wrong password after the lockout has ended counts from one again."""
    dn = lab.user()
    fail(lab, dn, 3)
    yield 31 * MINUTE
    return fail(lab, dn, 4), lab.bind(dn)


@area.with_policy(timed=True, **LOCKING)
def observation_window(lab: Lab) -> Course:
    """Wrong passwords are forgotten after 30 minutes."""
    dn, other = lab.user(), lab.user("v")
    seen: list[Observation] = [fail(lab, dn, 2), fail(lab, other, 2)]
    yield 29 * MINUTE
    seen += [lab.read(dn, *COUNTERS[:3]), fail(lab, dn, 1), lab.bind(dn)]
    yield 2 * MINUTE
    return [*seen, lab.read(other, *COUNTERS[:3]), fail(lab, other, 3), lab.bind(other)]


@area.with_policy(timed=True, lockoutThreshold="3", lockoutDuration="-9223372036854775808")
def locked_for_ever(lab: Lab) -> Course:
    """lockoutDuration -2^63: until an administrator unlocks."""
    dn = lab.user()
    fail(lab, dn, 3)
    yield 3 * DAY
    return lab.bind(dn), lab.read(dn, *COUNTERS[:3], COMPUTED[0]), lab.set(dn, lockoutTime="0"), lab.bind(dn)


@area.with_policy(lockoutThreshold="0")
def no_threshold(lab: Lab) -> Observation:
    """Threshold 0: nothing locks."""
    dn = lab.user()
    return fail(lab, dn, 6), lab.bind(dn)


@area.with_policy(lockoutThreshold="1")
def threshold_one(lab: Lab) -> Observation:
    """Threshold 1: the first wrong password locks."""
    dn = lab.user()
    return fail(lab, dn, 2), lab.bind(dn)


@area.check
def administrator_counters(lab: Lab) -> Observation:
    """The built-in administrator's counters are readable."""
    return lab.read(f"CN=Administrator,CN=Users,{lab.base}", "badPwdCount", "lockoutTime", "accountExpires")


@area.timed
def previous_password(lab: Lab) -> Course:
    """After a change the previous password binds for an hour more."""
    dn, admins = lab.user(), lab.user("v")
    lab.must(lab.change(dn, PASSWORD, OTHER, by=lab.connect(dn)))
    lab.must(lab.reset(admins, OTHER))
    seen: list[Observation] = []

    def look() -> None:
        for each in (dn, admins):
            seen.append((lab.bind(each), lab.bind(each, OTHER), lab.read(each, *COUNTERS[:3])))

    look()
    for pause in (59 * MINUTE, 2 * MINUTE):
        yield pause
        look()
    return seen


@area.check
def two_passwords_ago(lab: Lab) -> Observation:
    """The password before the previous one does not bind."""
    dn = lab.user()
    user = lab.connect(dn)
    lab.must(lab.change(dn, PASSWORD, OTHER, by=user))
    lab.must(lab.change(dn, OTHER, THIRD, by=user))
    return [lab.bind(dn, password) for password in (PASSWORD, OTHER, THIRD)]


@area.check
def previous_password_no_change(lab: Lab) -> Observation:
    """With the previous password one may bind, but not change."""
    dn = lab.user()
    lab.must(lab.change(dn, PASSWORD, OTHER, by=lab.connect(dn)))
    answer = lab.change(dn, PASSWORD, THIRD, by=lab.connect(dn))
    return answer, lab.read(dn, *COUNTERS[:3])


@area.with_policy(timed=True, minPwdAge=str(-TICKS_OF_DAY))
def minimum_age_passes(lab: Lab) -> Course:
    """A password is old enough after a day."""
    dn = lab.user(userAccountControl="66048")
    seen = [lab.change(dn, PASSWORD, OTHER, by=lab.connect(dn))]
    for pause in (DAY - MINUTE, 2 * MINUTE):
        yield pause
        seen.append(lab.change(dn, PASSWORD, OTHER, by=lab.connect(dn)))
    return [*seen, lab.change(dn, OTHER, THIRD, by=lab.connect(dn, OTHER))]


@area.timed
def logon_times(lab: Lab) -> Course:
    """lastLogon moves with each bind, lastLogonTimestamp at the first and about two weeks later."""
    dn = lab.user(userAccountControl="66048")
    names = ("lastLogon", "lastLogonTimestamp", "logonCount")
    seen: list[Observation] = [lab.read(dn, *names), lab.bind(dn), lab.read(dn, *names)]
    for pause in (MINUTE, 5 * DAY, 18 * DAY):
        yield pause
        seen += [lab.bind(dn), lab.read(dn, *names)]
    return seen


@area.table(
    {
        "none": "00" * 21,
        "all": "ff" * 21,
        "short": "ff" * 20,
        "nothing": "",
    }
)
def logon_hours(lab: Lab, octets: str) -> Observation:
    """Hours in which one may log on."""
    dn = lab.user()
    answer = lab.set(dn, logonHours=bytes.fromhex(octets) if octets else [])
    return answer, lab.bind(dn), lab.bind(dn, "Wrong-1234"), lab.read(dn, "logonHours", "badPwdCount")


@area.table({"other": "elsewhere", "this": "localhost", "nothing": []})
def workstations(lab: Lab, names: str | list[str]) -> Observation:
    """Workstations from which one may log on: a simple bind has none."""
    dn = lab.user()
    return lab.set(dn, userWorkstations=names), lab.bind(dn), lab.bind(dn, "Wrong-1234")


STATES: dict[str, dict[str, str]] = {
    "disabled": {"userAccountControl": "514"},
    "expired": {"accountExpires": "131000000000000000"},
    "must-change": {"pwdLastSet": "0"},
    "hours": {"logonHours": ""},
    "workstation": {"userWorkstations": "elsewhere"},
}


def _pairs() -> dict[str, Sequence[str]]:
    names = list(STATES)
    return {f"{one}-{other}": (one, other) for at, one in enumerate(names) for other in names[at + 1 :]}


@area.table(_pairs())
def two_states(lab: Lab, states: Sequence[str]) -> Observation:
    """Which reason a bind is told when there are two."""
    dn = lab.user()
    for state in states:
        values = {name: bytes(21) if name == "logonHours" else value for name, value in STATES[state].items()}
        lab.must(lab.set(dn, **values))
    return lab.bind(dn), lab.bind(dn, "Wrong-1234")


@area.check
def enable_and_disable(lab: Lab) -> Observation:
    """Disabling and enabling, by adding and deleting values as some tools do."""
    dn = lab.user()
    change = [("userAccountControl", DELETE, ["512"]), ("userAccountControl", ADD, ["514"])]
    back = [("userAccountControl", DELETE, ["514"]), ("userAccountControl", ADD, ["512"])]
    return lab.modify(dn, *change), lab.bind(dn), lab.modify(dn, *back), lab.bind(dn)


@area.check
def several_values_at_once(lab: Lab) -> Observation:
    """Account state and times in one modify."""
    dn = lab.user()
    answer = lab.modify(
        dn,
        ("userAccountControl", REPLACE, ["66048"]),
        ("pwdLastSet", REPLACE, ["0"]),
        ("accountExpires", REPLACE, ["0"]),
    )
    return answer, lab.read(dn, *COMPUTED, "pwdLastSet", "accountExpires"), lab.bind(dn)


@area.table(
    {
        "badpwdcount": ("badPwdCount", "3"),
        "badpasswordtime": ("badPasswordTime", "1"),
        "lastlogon": ("lastLogon", "1"),
        "lastlogontimestamp": ("lastLogonTimestamp", "131287716000000000"),
        "logoncount": ("logonCount", "5"),
        "computed": ("msDS-User-Account-Control-Computed", "16"),
        "expiry": ("msDS-UserPasswordExpiryTimeComputed", "1"),
        "accounttype": ("sAMAccountType", "805306369"),
        "primarygroup": ("primaryGroupID", "512"),
        "primarygroup-missing": ("primaryGroupID", "99999"),
        "objectsid": ("objectSid", "S-1-5-21-1-2-3-1000"),
        "rid": ("rid", "1000"),
        "admincount": ("adminCount", "1"),
        "codepage": ("codePage", "1252"),
    }
)
def write_of(lab: Lab, row: tuple[str, str]) -> Observation:
    """Attributes that the system keeps, written by an administrator."""
    dn = lab.user()
    return lab.set(dn, **{row[0]: row[1]}), lab.read(dn, row[0])

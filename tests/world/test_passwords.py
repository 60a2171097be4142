"""Passwords of a run as labels: nobody has to print one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pwsync.credential import nt_hash, protect
from simulator.passwords import Passwords

SALT = bytes(range(10))
WINTER, SPRING = "Winter-2016!", "Spring-2017!"


def test_numbers_per_user() -> None:
    """Each user's passwords count from 1; the same one again keeps its number."""
    passwords = Passwords()
    assert [passwords.learn("alice", each) for each in (WINTER, SPRING, WINTER)] == ["alice#1", "alice#2", "alice#1"]
    assert passwords.learn("bob", SPRING) == "bob#1"


def test_unknown() -> None:
    """A password that never was the user's has no number, none at all is none."""
    passwords = Passwords()
    passwords.learn("alice", WINTER)
    assert [passwords.label("alice", each) for each in (SPRING, None, "")] == ["alice#?", "none", "alice#?"]
    assert passwords.label("bob", WINTER) == "bob#?"


def test_by_hash() -> None:
    """A hash leads back to the password, and only for the user whose it is."""
    passwords = Passwords()
    passwords.learn("alice", WINTER)
    assert passwords.password_of_hash("alice", nt_hash(WINTER)) == WINTER
    assert passwords.password_of_hash("bob", nt_hash(WINTER)) is None
    assert passwords.password_of_hash("alice", nt_hash(SPRING)) is None


def test_nobody_typed_it() -> None:
    """A secret that nobody typed has a number, and no password."""
    passwords = Passwords()
    passwords.learn("alice", WINTER)
    random = bytes(16)
    assert [passwords.learn_hash("alice", random) for _ in range(2)] == ["alice#2"] * 2
    assert passwords.password_of_hash("alice", random) is None
    assert passwords.learn_hash("alice", nt_hash(WINTER)) == "alice#1"
    assert list(passwords.secrets()) == [("alice#1", WINTER, nt_hash(WINTER)), ("alice#2", "", random)]


def test_identify() -> None:
    """A stored credential is recognised, also one learned only after it was first asked for."""
    passwords = Passwords()
    passwords.learn("alice", WINTER)
    credential = protect(nt_hash(SPRING), SALT)
    assert passwords.identify("alice", credential) is None
    passwords.learn("alice", SPRING)
    assert passwords.identify("alice", credential) == SPRING
    assert passwords.identify("bob", credential) is None


def test_identify_a_random_secret() -> None:
    """A credential of a secret that nobody typed is recognised too."""
    passwords = Passwords()
    label = passwords.learn_hash("alice", bytes(16))
    found = passwords.identify("alice", protect(bytes(16), SALT))
    assert found is not None
    assert passwords.label("alice", found) == label


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["alice", "bob"]), st.text(max_size=4)), max_size=12))
def test_labels_are_one_to_one(learned: list[tuple[str, str]]) -> None:
    """However passwords come, equal labels mean equal passwords of one user, and every secret is listed once."""
    passwords = Passwords()
    labels = {pair: passwords.learn(*pair) for pair in learned}
    assert len(set(labels.values())) == len(set(learned))
    for (user, password), label in labels.items():
        assert passwords.label(user, password) == label
    assert sorted(label for label, _, _ in passwords.secrets()) == sorted(labels.values())

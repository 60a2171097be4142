"""Reading files: what becomes of good ones, and that nothing in a file makes the reader raise."""

from __future__ import annotations

import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.scenario.action_models import ACTIONS, AdChangePassword, CloudSetFeature
from simulator.scenario.expectation_models import EXPECTATIONS, ExpectRefused
from simulator.scenario.fault_models import EFFECTS, WIRES
from simulator.scenario.file import SIZE_MAX, Loaded, identify, load, load_text
from simulator.scenario.model import Given, PopulationSpec, UserSpec
from simulator.scenario.values import Count

GOOD = Path(__file__).with_name("good")
FILES = sorted(GOOD.glob("*.yaml"))
ONE_ACTION = """\
scenario: One action
why: Short.
rules: [delta.within-minutes]
given:
  users: [{name: alice, password: "Winter-2016!"}]
timeline:
  - at: +2m
    do: {ad.change-password: {user: alice, password: "Spring-2017!"}}
"""


def read(text: str) -> Loaded:
    return load_text(text, Path("scenarios/test.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_good_file_loads(path: Path) -> None:
    """A good file has cases and no errors."""
    loaded = load(path)
    assert [error.render() for error in loaded.errors] == []
    assert loaded.cases


def used() -> tuple[set[str], set[str]]:
    actions, expectations = set(), set()
    for path in FILES:
        for case in load(path).cases:
            for step in case.scenario.timeline:
                actions |= {each.name for each in step.do}
                expectations |= {each.name for each in step.expect}
    return actions, expectations


def test_good_files_use_every_action_and_expectation() -> None:
    """The good files are a complete example of the vocabulary."""
    actions, expectations = used()
    assert actions == set(ACTIONS)
    assert expectations == set(EXPECTATIONS)


def test_good_files_use_every_wire_effect_and_given_key() -> None:
    """They also use every wire, every effect of a fault, and every key of given and its users."""
    wires, effects, keys, users = set(), set(), set(), set()
    for path in FILES:
        scenario = load(path).cases[0].scenario
        wires |= {fault.on for fault in scenario.faults}
        effects |= {effect for fault in scenario.faults for effect in fault.effects()}
        keys |= scenario.given.model_fields_set
        users |= {key for user in scenario.given.users for key in user.model_fields_set}
    assert wires == set(WIRES)
    assert effects == set(EFFECTS)
    assert keys | {"forest"} == set(Given.model_fields)
    assert users == set(UserSpec.model_fields)


def test_action_has_arguments_name_and_position() -> None:
    """An action knows its word, its arguments, and where its word stands."""
    [case] = read(ONE_ACTION).cases
    [step] = case.scenario.timeline
    [action] = step.do
    assert action == AdChangePassword(user="alice", password="Spring-2017!")
    assert action.name == "ad.change-password"
    assert action.position is not None
    assert (action.position.line, action.position.column, action.position.length) == (8, 10, 18)
    assert step.position is not None
    assert (step.position.line, step.position.column) == (7, 9)
    assert step.at == timedelta(minutes=2)


def test_defaults_are_those_of_the_format() -> None:
    """What a file does not say has the defaults that the format names."""
    [case] = read(ONE_ACTION).cases
    scenario = case.scenario
    assert scenario.profiles == ("2017",)
    assert scenario.start == datetime(2017, 1, 13, 9, tzinfo=UTC)
    assert (scenario.seed, scenario.given.sync, scenario.given.agent.batch_size) == (1, "settled", 50)
    assert scenario.given.users[0].password_age == timedelta(days=30)
    assert (case.id, case.tags, case.profile, case.row) == ("test", (), "2017", None)


def test_refused_stands_alone() -> None:
    """``refused: REASON`` is read without a key, and the step names the reason."""
    [case] = read(ONE_ACTION + "    expect: {refused: password-reused}\n").cases
    assert case.scenario.timeline[0].expect == (ExpectRefused(reason="password-reused"),)
    assert case.scenario.timeline[0].refused == "password-reused"


def test_examples_and_profiles_multiply() -> None:
    """Each row of examples runs under each profile, with an id of its own."""
    cases = load(GOOD / "examples.yaml").cases
    suffixes = [case.id.rpartition("/")[2] for case in cases]
    assert suffixes == [
        "examples::plain[2017]",
        "examples::plain[current]",
        "examples::cyrillic[2017]",
        "examples::cyrillic[current]",
    ]
    assert [case.row for case in cases] == ["plain", "plain", "cyrillic", "cyrillic"]
    assert cases[2].scenario.scenario == "Cyrillic: a title with a colon"
    assert cases[0].scenario.timeline[0].do[0].password == "Spring-2017!"
    assert cases[0].scenario.timeline[1].expect[1].password == "$new"


def test_profile_can_be_chosen_from_outside() -> None:
    """A profile given to load replaces those of the file; an unknown one is an error."""
    cases = load(GOOD / "examples.yaml", profile="current").cases
    assert [case.id.rpartition("/")[2] for case in cases] == ["examples::plain", "examples::cyrillic"]
    assert {case.profile for case in cases} == {"current"}
    assert [error.message for error in load(GOOD / "examples.yaml", profile="2018").errors] == [
        'unknown profile "2018"'
    ]


@pytest.mark.parametrize(
    ("path", "name", "folders"),
    [
        ("scenarios/order/two-users.yaml", "order/two-users", ("order",)),
        ("/x/scenarios/old/scenarios/a/b.c.yaml", "a/b.c", ("a",)),
        ("/elsewhere/x.yaml", "/elsewhere/x", ()),
        ("scenarios.yaml", "scenarios", ()),
        ("here/x.yaml", "here/x", ("here",)),
    ],
)
def test_id_counts_from_the_scenarios_folder(path: str, name: str, folders: tuple[str, ...]) -> None:
    """The id and the folder tags begin below the nearest folder ``scenarios``, else below the current folder."""
    assert identify(Path(path)) == (name, folders)


def test_folders_are_tags(tmp_path: Path) -> None:
    """A scenario has its own tags first, then its folders, each once."""
    path = tmp_path / "scenarios" / "order" / "deep" / "x.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(ONE_ACTION + "tags: [smoke, order]\n")
    assert load(path).cases[0].tags == ("smoke", "order", "deep")


def test_time_of_account_expiry_is_an_offset() -> None:
    """``account-expires`` may be a time; the model holds its distance from the start."""
    text = ONE_ACTION.replace('"Winter-2016!"}', '"Winter-2016!", account-expires: 2017-01-14T09:00:00Z}')
    assert read(text).cases[0].scenario.given.users[0].account_expires == timedelta(days=1)


def test_actions_of_an_instant_come_before_its_expectations() -> None:
    """An expectation may name a user whom a later entry of the same instant creates."""
    text = ONE_ACTION + (
        "    expect: {cloud.user: {user: bob, exists: true}}\n"
        '  - {at: +120s, do: {ad.create-user: {user: bob, password: "Spring-2017!"}}}\n'
    )
    assert read(text).errors == ()


def test_deleted_user_may_be_named_and_made_again() -> None:
    """A deleted user stays a known name, which a new user may take."""
    text = ONE_ACTION + (
        "  - {at: +3m, do: {ad.delete-user: {user: alice}}, expect: {cloud.user: {user: alice, enabled: false}}}\n"
        '  - {at: +4m, do: {ad.create-user: {user: alice, password: "Autumn-2017!"}}}\n'
    )
    assert read(text).errors == ()


def test_controller_finds_its_domain() -> None:
    """A controller's name that only one domain has says which domain is meant; a full name always does."""
    scenario = load(GOOD / "forests.yaml").cases[0].scenario
    found = [(each.controller, each.domain) for each in scenario.timeline[0].do if each.name == "ad.set-controller"]
    assert found == [("dc9", "fabrikam.example"), ("dc1", "sub.contoso.example"), ("dc2", "contoso.example")]


def test_names_of_an_ldif_file_are_known(tmp_path: Path) -> None:
    """Users of the directory file can be named, base64 or not; a broken value is passed over."""
    (tmp_path / "people.ldif").write_text("dn: cn=x\ncn: x\nuid:: !!!\nsamaccountname:: w6k=\n", encoding="utf-8")
    path = tmp_path / "x.yaml"
    path.write_text(
        "scenario: a\nwhy: b\nrules: [order.per-user]\ngiven: {directory: people.ldif}\ntimeline:\n"
        "  - {at: +1m, do: [{ad.unlock: {user: x}}, {ad.unlock: {user: é}}]}\n",
        encoding="utf-8",
    )
    assert load(path).errors == ()


def test_missing_file_is_an_error_of_the_file(tmp_path: Path) -> None:
    """No file, a folder, a NUL in the name: errors at 1:1, nothing is raised."""
    for path, reason in ((tmp_path / "x.yaml", "No such file"), (tmp_path, "Is a directory"), (Path("\0"), "NUL")):
        [error] = load(path).errors
        assert reason in error.message
        assert (error.position.line, error.position.column) == (1, 1)


def test_huge_file_is_refused_by_its_size(tmp_path: Path) -> None:
    """More than 1 MiB is no scenario; what is just as big is read."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(10 << 20)
    assert [error.message for error in load(path).errors] == ["the file is too big for a scenario"]
    path.write_bytes(ONE_ACTION.encode() + b"#" * (SIZE_MAX - len(ONE_ACTION)))
    assert load(path).errors == ()


def test_byte_order_mark_and_crlf_do_no_harm() -> None:
    """Files that Windows editors save are read the same."""
    path = Path("scenarios/x.yaml")
    text = ONE_ACTION.replace("\n", "\r\n")
    assert load_text(text, path).cases[0].scenario == load_text(ONE_ACTION, path).cases[0].scenario


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    """A UTF-8 byte order mark is no part of the text."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + ONE_ACTION.encode())
    assert load(path).errors == ()


def test_columns_count_characters() -> None:
    """A column counts characters, not bytes."""
    text = ONE_ACTION.replace("One action", "Ünï").replace("why: Short.", "why: {ä: [日本, 語]}")
    [error] = read(text).errors
    assert (error.position.line, error.position.column) == (2, 1)
    [error] = read(ONE_ACTION.replace('"Winter-2016!"', '"Wïnter", ou: Ö')).errors
    assert error.source_line[error.position.column - 1] == "Ö"


def test_case_travels_between_processes() -> None:
    """A case can be pickled, positions included."""
    for path in FILES:
        for case in load(path).cases:
            again = pickle.loads(pickle.dumps(case))
            assert again == case
            places = [[step.position for step in each.scenario.timeline] for each in (again, case)]
            assert places[0] == places[1]


def test_count_and_features_are_values() -> None:
    """Counts and features reach their users as values, not as texts."""
    scenario = load(GOOD / "cloud-actions.yaml").cases[0].scenario
    assert scenario.given.cloud.features == {
        "force-password-change-on-logon": True,
        "cloud-policy-for-synced-users": False,
    }
    counts = [each.count for step in scenario.timeline for each in step.expect if each.name == "cloud.writes"]
    assert counts == [Count(1), Count(3, exact=False)]
    assert CloudSetFeature(password_sync="off").features() == {"password-sync": False}


def test_models_can_be_made_in_python() -> None:
    """Plans of random runs build models by attribute names and finished values."""
    assert PopulationSpec(count=3).count == 3
    assert Given(users=(UserSpec(name="bob", password="x", must_change=True),)).users[0].must_change is True


def test_empty_texts_never_raise() -> None:
    """Nothing, blanks, and lone marks of YAML are errors at most."""
    for text in ("", " ", "\n\n", "---", "...", "- ", "? ", ": ", "{}", "[]", "null", "%YAML 1.1\n---\n", "!!map {}"):
        assert read(text).errors


@given(st.binary(max_size=300))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_never_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever a file holds, it becomes errors that can be printed."""
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    loaded = load(path)
    assert loaded.errors
    assert all(error.render() for error in loaded.errors)


WORDS = st.sampled_from(
    [
        "at",
        "do",
        "expect",
        "users",
        "given",
        "timeline",
        "+1m",
        "$x",
        "alice",
        "",
        "true",
        "1+",
        "<<",
        "~",
        "0123",
        *ACTIONS,
    ]
)
TREES = st.recursive(
    WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=15,
)


def as_yaml(tree: object) -> str:
    """The tree in flow style, its texts plain where that is possible."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{as_yaml(key)}: {as_yaml(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(as_yaml(item) for item in tree) + "]"
    text = str(tree)
    return text if text.isalnum() or text in ACTIONS else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.dictionaries(st.sampled_from(["scenario", "given", "timeline", "faults", "examples", "explore"]), TREES))
@settings(max_examples=150)
def test_any_yaml_never_raises(tree: dict[str, object]) -> None:
    """Any tree of words under the format's keys becomes errors or cases."""
    loaded = read(as_yaml(tree))
    assert bool(loaded.errors) != bool(loaded.cases)
    assert all(error.render() for error in loaded.errors)


TEXTS = [path.read_text(encoding="utf-8") for path in FILES]


@given(st.sampled_from(TEXTS), st.data())
@settings(max_examples=200, deadline=None)
def test_any_mutation_of_a_good_file_never_raises(text: str, data: st.DataObject) -> None:
    """A good file with a piece cut out, doubled or replaced becomes errors or cases."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 60)))
    piece = data.draw(
        st.sampled_from(["", text[start:end] * 2, " ", "\n", "[", "}", '"', "&a ", "*a", "- ", "$x", "é", "\t"])
    )
    loaded = read(text[:start] + piece + text[end:])
    assert bool(loaded.errors) != bool(loaded.cases)
    assert all(error.position.line >= 1 and error.position.column >= 1 for error in loaded.errors)
    assert all(error.render() for error in loaded.errors)


def test_ten_thousand_errors_are_cut_short() -> None:
    """A file that is no scenario does not take for ever, and does not print for ever."""
    text = "".join(f"key-{number}: x\n" for number in range(10_000))
    assert len(read(text).errors) == 1000


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_unreadable_file_is_an_error(tmp_path: Path) -> None:
    """A file without the right to read it is an error of the file."""
    path = tmp_path / "x.yaml"
    path.write_text(ONE_ACTION)
    path.chmod(0)
    assert "Permission denied" in load(path).errors[0].message


@pytest.mark.parametrize("mark", ["[", "{", "? ", "- ", "\x00", "&a ", "a: {", '"'])
def test_a_megabyte_of_one_mark_is_an_error_soon(mark: str) -> None:
    """Endless nesting and endless rubbish end the reading, not the reader."""
    loaded = read(mark * (SIZE_MAX // len(mark)))
    assert 1 <= len(loaded.errors) <= 100


def test_nesting_of_fifty_levels_is_read() -> None:
    """Fifty levels are nested deeply enough for anybody; they are read, and are wrong for what they hold."""
    for levels, message in ((49, 'unknown key "x"'), (50, "nested too deeply")):
        [error, *_] = read(ONE_ACTION + "x: " + "[" * levels + "]" * levels).errors
        assert error.message == message

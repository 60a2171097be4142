"""Which files a path names, which cases are chosen, and what results come to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cli.cases import ROWS, write
from cli.results import BROKE, FAULTED, HELD, result

from simulator.scenario.result import ExitCode
from simulator.suite import Choice, collect, exit_code, files_below, split_row, suite_digest, why_none


@pytest.fixture
def scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of scenarios, with its parent as current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "scenarios"
    write(folder, "b/two.yaml", tags="quick, slow", rules="cycle.fixed")
    write(folder, "b/one.yaml", tags="quick")
    write(folder, "a.yaml", more=ROWS)
    write(folder, ".hidden/x.yaml", title="[")
    write(folder, "b/.hidden.yaml", title="[")
    (folder / "b" / "one.trace").write_text("not yaml", encoding="utf-8")
    (folder / "b" / "people.ldif").write_text("dn: x", encoding="utf-8")
    return folder


def ids(*paths: str) -> list[str]:
    suite = collect(paths)
    assert [error.render() for error in suite.errors] == []
    return [case.id for case in suite.cases]


def errors(*paths: str) -> list[str]:
    return [error.render() for error in collect(paths).errors]


@pytest.mark.usefixtures("scenarios")
class TestCollect:
    def test_folder_in_order_of_names(self) -> None:
        """A folder gives every scenario below it, sorted, without hidden files and files of other kinds."""
        assert ids("scenarios") == ["a::first", "a::second", "b/one", "b/two"]

    def test_paths_in_the_order_given(self) -> None:
        """Paths keep their order."""
        assert ids("scenarios/b/two.yaml", "scenarios/a.yaml") == ["b/two", "a::first", "a::second"]

    def test_row(self) -> None:
        """FILE::row gives that row alone; two of them both."""
        assert ids("scenarios/a.yaml::second") == ["a::second"]
        assert ids("scenarios/a.yaml::second", "scenarios/a.yaml::first") == ["a::first", "a::second"]

    def test_named_twice_runs_once(self) -> None:
        """A case that several paths name is there once, whichever way each names it."""
        assert ids("scenarios/b/one.yaml", "./scenarios/b/../b/one.yaml") == ["b/one"]
        assert ids("scenarios/a.yaml::first", "scenarios/a.yaml") == ["a::first", "a::second"]
        assert ids("scenarios/a.yaml", "scenarios/a.yaml::first") == ["a::first", "a::second"]

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("scenarois", 'there is no file or folder "scenarois"\n  = did you mean "scenarios"?'),
            (
                "scenarios/b/on.yaml",
                'there is no file or folder "scenarios/b/on.yaml"\n  = did you mean "scenarios/b/one.yaml"?',
            ),
            (
                "scenarios/b/one",
                'there is no file or folder "scenarios/b/one"\n  = did you mean "scenarios/b/one.yaml"?',
            ),
            ("b/one", 'there is no file or folder "b/one"\n  = did you mean "scenarios/b/one.yaml"?'),
            ("nowhere/at/all", 'there is no file or folder "nowhere/at/all"'),
            ("", "an empty path names no file or folder"),
            ("scenarios::first", '"scenarios" is a folder; a row is asked for as FILE::row'),
            ("scenarios/a.yaml::secnd", '"scenarios/a.yaml" has no row "secnd"\n  = did you mean "second"?'),
            ("scenarios/b/one.yaml::x", '"scenarios/b/one.yaml" has no examples, so there is no row "x"'),
        ],
    )
    def test_path_that_names_nothing(self, path: str, message: str) -> None:
        """A path that leads nowhere is an error with the nearest name."""
        assert errors(path) == [f"error: {message}"]

    def test_folder_without_scenarios(self, scenarios: Path) -> None:
        """A folder without a scenario is an error, not an empty success; a wrong suffix is pointed out."""
        (scenarios / "c").mkdir()
        assert errors("scenarios/c") == ['error: there is no scenario file (*.yaml) below "scenarios/c"']
        (scenarios / "c" / "x.yml").touch()
        assert errors("scenarios/c")[0].endswith("= files that end in .yml are not read: rename them to *.yaml")

    def test_errors_of_all_paths(self, scenarios: Path) -> None:
        """Every bad path and every bad file is told, not the first alone."""
        write(scenarios, "c/bad.yaml", rules="no.such.rule")
        write(scenarios, "c/worse.yaml", rules="no.such.rule, nor.this")
        assert len(errors("scenarios", "gone", "scenarios/b")) == 4

    def test_folder_that_can_not_be_read(self, scenarios: Path) -> None:
        """A folder that the system does not let us read raises, so that it is not taken for an empty one."""
        with pytest.raises(FileNotFoundError):
            files_below(scenarios / "gone")

    def test_links_in_a_circle(self, scenarios: Path) -> None:
        """A link to a folder above is not followed, so reading ends."""
        (scenarios / "b" / "up").symlink_to(scenarios)
        assert ids("scenarios/b") == ["b/one", "b/two"]

    def test_file_with_two_colons_in_its_name(self, scenarios: Path) -> None:
        """A file that exists as written has no row."""
        path = write(scenarios, "odd::name.yaml")
        assert split_row(str(path)) == (path, None)


class TestChoice:
    def chosen(self, *tags: str, rule: str | None = None, profile: str | None = None) -> list[str]:
        suite = collect(["scenarios"])
        choice = Choice(tags, rule, profile)
        return [case.id for case in suite.cases if choice.takes(case)]

    @pytest.mark.usefixtures("scenarios")
    def test_tags(self) -> None:
        """A comma means either, a second option both, not: those without; folders are tags."""
        assert self.chosen("quick") == ["b/one", "b/two"]
        assert self.chosen("slow,quiet") == ["a::first", "a::second", "b/two"]
        assert self.chosen("quick", "slow") == ["b/two"]
        assert self.chosen("quick", "not:slow") == ["b/one"]
        assert self.chosen("b") == ["b/one", "b/two"]
        assert self.chosen(" slow , ") == ["b/two"]

    @pytest.mark.usefixtures("scenarios")
    def test_rule_and_profile(self) -> None:
        """A rule takes the scenarios that name it, a profile those that are written for it."""
        assert self.chosen(rule="cycle.fixed") == ["b/two"]
        assert self.chosen(profile="current") == []
        assert len(self.chosen(profile="2017")) == 4

    @pytest.mark.usefixtures("scenarios")
    def test_reason_why_none(self) -> None:
        """An empty choice says what it was made from and names the nearest tag."""
        cases = collect(["scenarios"]).cases
        assert why_none(cases, Choice(("quik",))).render() == (
            'error: none of 4 scenarios is chosen by -t quik: no scenario has the tag "quik"\n  = did you mean "quick"?'
        )
        assert why_none(cases, Choice(("quick",), profile="current")).render() == (
            "error: none of 4 scenarios is chosen by -t quick --profile current"
        )


class TestResults:
    def test_digest_of_one_is_its_own(self) -> None:
        """The digest of a single case is that of its trace."""
        assert suite_digest([HELD]) == HELD.digest

    def test_digest_of_several_covers_names_and_digests(self) -> None:
        """The digest of a suite depends on each case's id and digest, and on nothing else."""
        lines = f"{HELD.id} {HELD.digest}\na {result('a').digest}\n"
        assert suite_digest([HELD, result("a")]) == hashlib.sha256(lines.encode()).hexdigest()
        assert suite_digest([HELD, result("a", seconds=9.0)]) == suite_digest([HELD, result("a")])
        assert suite_digest([HELD, result("a", digest=HELD.digest)]) != suite_digest([HELD, result("a")])

    def test_exit_code(self) -> None:
        """A fault of the harness outweighs a broken scenario."""
        assert exit_code([HELD]) == ExitCode.HELD
        assert exit_code([HELD, BROKE]) == ExitCode.BROKE
        assert exit_code([BROKE, FAULTED, HELD]) == ExitCode.HARNESS_FAULT

"""The house's rules, checked on the files themselves."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*ROOT.glob("pwsync/**/*.py"), *ROOT.glob("simulator/**/*.py")])
TESTS = sorted(ROOT.glob("tests/**/*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")

LINES_MAX = 500
WIRES = {"ldap3", "requests", "responses", "http", "wsgiref", "urllib", "socket"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
AMBIENT = re.compile(
    r"\b(datetime\.(now|utcnow|today)|date\.today|time\.(time|sleep|monotonic)|uuid4|os\.(environ|urandom))\b"
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or inside a function."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaks(path: Path, forbidden: str) -> list[str]:
    return [module for module in imported(path) if module == forbidden or module.startswith(f"{forbidden}.")]


def having(pattern: re.Pattern[str], paths: list[Path]) -> dict[str, list[str]]:
    """Which of the files have what, by their names."""
    found = {name_of(path): [match[0] for match in pattern.finditer(path.read_text("utf-8"))] for path in paths}
    return {name: words for name, words in found.items() if words}


class TestModules:
    def test_says_what_it_is(self) -> None:
        """Every file begins with a docstring whose first paragraph is a sentence."""
        texts = {name_of(path): ast.get_docstring(tree(path)) or "" for path in [*MODULES, *TESTS]}
        assert [name for name, text in texts.items() if not text.split("\n\n")[0].strip().endswith((".", ":"))] == []

    def test_length(self) -> None:
        """No file grows beyond what one can keep in mind."""
        lengths = {name_of(path): path.read_text("utf-8").count("\n") for path in MODULES}
        assert {name: length for name, length in lengths.items() if length > LINES_MAX} == {}

    def test_is_finished(self) -> None:
        """Nothing is left for later."""
        assert having(UNFINISHED, [path for path in [*MODULES, *TESTS] if path.name != "test_house.py"]) == {}

    def test_depends_on_no_mocks(self) -> None:
        """Product code has no use for mocks."""
        assert having(re.compile(r"unittest\.mock"), MODULES) == {}


class TestLayers:
    def test_agent_knows_no_simulator(self) -> None:
        """The agent never imports the simulation that it is run in."""
        assert {name_of(path): breaks(path, "simulator") for path in MODULES if name_of(path).startswith("pwsync/")
                if breaks(path, "simulator")} == {}  # fmt: skip

    def test_services_know_no_scenarios(self) -> None:
        """A simulated service never imports the scenario format."""
        services = (
            "simulator/active_directory/",
            "simulator/azure_ad/",
            "simulator/domain_services/",
            "simulator/federation/",
        )
        found = {
            name_of(path): breaks(path, "simulator.scenario") for path in MODULES if name_of(path).startswith(services)
        }
        assert {name: modules for name, modules in found.items() if modules} == {}

    def test_state_knows_no_wire(self) -> None:
        """State and policy of a service know no LDAP and no HTTP."""
        pure = [path for path in MODULES if path.stem in ("state", "policy") and "simulator" in path.parts]
        found = {name_of(path): WIRES & {module.split(".")[0] for module in imported(path)} for path in pure}
        assert {name: modules for name, modules in found.items() if modules} == {}

    def test_agent_takes_nothing_from_its_surroundings(self) -> None:
        """Time, randomness and environment reach the agent through its ports only."""
        assert having(AMBIENT, [path for path in MODULES if name_of(path).startswith("pwsync/")]) == {}


class TestTests:
    def test_every_test_says_what_it_shows(self) -> None:
        """Every test has a docstring that states the behaviour."""
        silent = [
            f"{name_of(path)}::{node.name}"
            for path in TESTS
            for node in ast.walk(tree(path))
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
        ]
        assert silent == []

    def test_nothing_of_our_own_is_mocked(self) -> None:
        """Tests use doubles and values, never mocks of our own code."""
        mocking = re.compile(r"unittest\.mock|MagicMock|setattr\(\"(pwsync|simulator)")
        assert having(mocking, [path for path in TESTS if path.name != "test_house.py"]) == {}


class TestReadme:
    def test_commands_exist(self) -> None:
        """Every command that the README names is one, and none is missing from it."""
        from simulator.cli.app import app

        commands = {each.name or each.callback.__name__ for each in app.registered_commands if each.callback}
        commands |= {each.typer_instance.info.name for each in app.registered_groups if each.typer_instance}
        named = set(re.findall(r"^\| `pwsync ([a-z]+)", README, re.MULTILINE))
        assert named == commands
        assert set(re.findall(r"(?:bin/|^ {4}|`|\$ )pwsync ([a-z]+)", README, re.MULTILINE)) <= commands

    def test_options_exist(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Every option of run that the README names is one, and none is missing from it."""
        from simulator.cli.app import run_app

        assert run_app(["run", "--help"]) == 0
        known = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", capsys.readouterr().out))
        table = README.split("Options of `run`:")[1].split("`pytest scenarios`")[0]
        named = set(re.findall(r"--[a-z][a-z-]+", table))
        assert named <= known
        assert known - named == {"--html", "--help", "--tags", "--jobs"}

    def test_vocabulary_is_told(self) -> None:
        """Every action, expectation and key of the format stands in the README's tables."""
        from simulator.scenario import model

        words = set(re.findall(r"`([a-z][a-z.-]+)`", README))
        keys = {model.key_of(name) for part in (model.Given, model.Fault, model.Scenario) for name in part.model_fields}
        assert {*model.ACTIONS, *model.EXPECTATIONS, *keys} - words == set()

    def test_actions_and_expectations_exist(self) -> None:
        """No table of the README names an action or an expectation that does not exist."""
        from simulator.scenario import model

        actions = README.split("### Actions")[1].split("### Expectations")[0]
        expectations = README.split("### Expectations")[1].split("### Faults")[0]
        assert set(re.findall(r"`([a-z-]+\.[a-z-]+)`", actions)) <= set(model.ACTIONS)
        assert set(re.findall(r"`([a-z-]+\.[a-z-]+)`", expectations)) <= set(model.EXPECTATIONS)

    def test_example_is_well_formed(self, tmp_path: Path) -> None:
        """The example scenario of the README is one."""
        from simulator.scenario.file import load

        example = README.split("```yaml\n")[1].split("```")[0]
        path = tmp_path / "example.yaml"
        path.write_text(example, encoding="utf-8")
        assert [error.render() for error in load(path).errors] == []

    def test_files_exist(self) -> None:
        """Every folder and file of the layout is there."""
        layout = README.split("## Layout")[1].split("## Limits")[0]
        paths = re.findall(r"`([a-z_]+/[a-z_/.]*)`", layout)
        assert paths
        assert [path for path in paths if not (ROOT / path).exists()] == []


def test_wheel_carries_every_data_file() -> None:
    """Each file of the packages that is not Python matches a pattern of the project's package data."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    data = [
        path for package in ("pwsync", "simulator") for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]  # fmt: skip
    assert data
    assert [name_of(path) for path in data if not any(fnmatch(path.name, pattern) for pattern in patterns)] == []


def test_changelog_has_its_form() -> None:
    """The changelog keeps its form: an unreleased part, and groups with known names."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text
    groups = set(re.findall(r"^### (.*)$", text, re.MULTILINE))
    assert groups <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

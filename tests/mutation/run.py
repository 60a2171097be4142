"""Mutation testing of the agent: whether every decision of its code is held by a scenario or a test.

    python tests/mutation/run.py [MODULE...] [--sample N] [--quick N] [--jobs N] [--fresh]

MODULE: such as pwsync.scope; a part of a name is enough; none: all. Each mutant, a copy of the agent with one small
change in it (mutmut makes them), is judged by all shipped scenarios and by the unit tests of the agent, in
processes forked from one that has read them all. A run that was stopped goes on where it was: what was noticed need
not be noticed again unless its module changed. Survivors by right are listed in survivors.toml, each with its reason.
Fails if fewer than 90 % were noticed, or if a survivor is listed that is none.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
JUDGES = ("scenarios", "tests/agent", "tests/wire")
SCORE_WANTED = 0.90
EXCLUDED = {
    "pwsync.ports": "protocols: nothing runs",
    "pwsync.process": "start and end of a process: tests/serving starts real ones",
    "pwsync.remote": "an agent's wires over real ports: tests/serving has them in processes of their own",
    "pwsync.service": "the process of an agent: tests/serving has it in processes of its own",
    "pwsync.timekeeper": "a running clock: tests/serving",
    "pwsync.operator_port": "the port of a running agent: tests/serving",
    "pwsync.store_view": "reads the store of a running agent: tests/serving",
    "pwsync.config_file": "reads the configuration of an agent's process: tests/serving",
}
"""Modules that this judge does not try, and why."""


def main() -> int:
    """Judge, and print what came of it."""
    options = _options()
    work = Path(options.work).resolve()
    if options.fresh:
        shutil.rmtree(work, ignore_errors=True)
    tree = work / "tree"
    _copy(tree)
    sys.path[:0] = [str(tree), str(HERE)]
    os.chdir(tree)  # mutmut reads its settings from the pyproject.toml here

    import pytest
    from judge import Judge, Verdict, kept_verdicts
    from mutants import mutate

    print("Bending the agent ...", flush=True)
    modules = mutate(ROOT, tree)
    wanted = [name for name in modules if name not in EXCLUDED and _asked(name, options.modules)]
    if not wanted:
        print(f"error: no module has a name with {' or '.join(options.modules)}", file=sys.stderr)
        return 2
    mutants = [mutant for name in wanted for mutant in modules[name].mutants()]
    if 0 < options.sample < len(mutants):
        mutants = [mutants[number * len(mutants) // options.sample] for number in range(options.sample)]
    verdicts = {each.mutant.name: each for each in kept_verdicts(work / "verdicts.jsonl", mutants)}
    open_ones = [mutant for mutant in mutants if mutant.name not in verdicts]
    print(f"{len(mutants)} mutants in {len(wanted)} modules, {len(open_ones)} of them to be tried", flush=True)

    count = Counter[str]()
    with (work / "verdicts.jsonl").open("a", encoding="utf-8") as log:

        def told(verdict: Verdict) -> None:
            mutant = verdict.mutant
            verdicts[mutant.name] = verdict
            print(
                json.dumps([mutant.name, mutant.source, verdict.outcome, verdict.by, verdict.tried]),
                file=log,
                flush=True,
            )
            count[verdict.outcome] += 1
            done = count.total()
            if done % 100 == 0 or done == len(open_ones):
                print(f"{done} of {len(open_ones)}: {_counts(count)}", flush=True)

        judge = Judge(
            open_ones, options.jobs, told, lambda text: print(text, flush=True), work / "reach", options.quick
        )
        if open_ones:
            arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", f"--rootdir={tree}", *JUDGES]
            pytest.main(arguments, plugins=[judge])
    if judge.failed:
        print("error: these fail without any mutant:", *judge.failed, sep="\n  ", file=sys.stderr)
        return 2
    return _report(
        modules,
        mutants,
        verdicts,
        whole=not options.modules and not options.sample and not options.quick,
        listed=options.survivors,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mutation testing of the agent.")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="part of a module's name; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    parser.add_argument("--work", default=str(ROOT / ".mutation"), help="where bent agent and verdicts are kept")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run found")
    parser.add_argument(
        "--quick",
        type=int,
        default=0,
        metavar="N",
        help="a mutant meets only the N likeliest tests: a first look",
    )
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="only N mutants, evenly spread")
    parser.add_argument("--survivors", action="store_true", help="show every survivor with its change")
    return parser.parse_args()


def _asked(name: str, parts: list[str]) -> bool:
    return not parts or any(part in name for part in parts)


def _copy(tree: Path) -> None:
    """The project without its agent, which is bent into its place."""
    for name in ("simulator", "scenarios", "tests", "pwsync"):
        shutil.rmtree(tree / name, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("simulator", "scenarios", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "tox.ini"):
        shutil.copy(ROOT / name, tree / name)


def _report(modules: dict, mutants: list, verdicts: dict, *, whole: bool, listed: bool) -> int:  # type: ignore[type-arg]
    from mutants import shown
    from rich.console import Console
    from rich.table import Table

    by_right = tomllib.loads((HERE / "survivors.toml").read_text("utf-8")).get("survivor", [])
    reasons = {(each["in"], each["out"], each["put"]): each["why"] for each in by_right}
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    left, used = [], set()
    for mutant in mutants:
        verdict = verdicts.get(mutant.name)
        outcome = verdict.outcome if verdict else "not tried"
        if outcome in ("survived", "not reached"):
            key = (shown(mutant.function), *modules[mutant.module].change(mutant))
            if key in reasons:
                used.add(key)
                rows[mutant.module]["by right"] += 1
            else:
                left.append((key, outcome))
        rows[mutant.module][outcome] += 1
    if listed:
        for (function, out, put), outcome in left:
            print(f"\n{function}: {outcome}\n- " + out.replace("\n", "\n- ") + "\n+ " + put.replace("\n", "\n+ "))
    columns = ("killed", "timeout", "broken", "survived", "not reached", "by right", "not tried")
    table = Table("module", *columns, "score")
    total = Counter[str]()
    for name, row in sorted(rows.items()):
        total.update(row)
        table.add_row(name, *(str(row[each]) for each in columns), f"{_score(row):.1%}")
    table.add_section()
    table.add_row("all", *(str(total[each]) for each in columns), f"{_score(total):.1%}")
    Console(width=140).print(table)
    stale = [key for key in reasons if key not in used] if whole and not total["not tried"] else []
    for function, out, put in stale:
        print(f"error: survivors.toml lists a survivor that is none, in {function}:\n- {out}\n+ {put}", file=sys.stderr)
    return 1 if stale or _score(total) < SCORE_WANTED else 0


def _score(row: Counter[str]) -> float:
    noticed = row["killed"] + row["timeout"] + row["broken"]
    tried = noticed + row["survived"] + row["not reached"]
    return noticed / tried if tried else 1.0


def _counts(count: Counter[str]) -> str:
    return ", ".join(f"{number} {outcome}" for outcome, number in count.most_common())


if __name__ == "__main__":
    sys.exit(main())

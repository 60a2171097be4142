"""Mutants of the agent: mutmut makes them, as files in which every function carries all of its bent versions.

One bent function, chosen by name in a forked process, is one mutant; nothing is written or imported anew for each.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents
from mutmut.utils.format_utils import mangled_name_from_mutant_name

_NAME = re.compile(r"(x(?:_|ǁ)\w*?|xǁ\w+ǁ\w+)__mutmut_(?:orig|\d+)")


@dataclass(frozen=True)
class Mutant:
    """One bent version of one function.

    name: as mutmut knows it, with its module. function: the name of what is bent, as mutmut counts its calls. source:
    a digest of the whole module as it was, so that a verdict is known to be of this very code.
    """

    name: str
    module: str
    function: str
    source: str


class MutatedModule:
    """A module of the agent with all of its mutants in it."""

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path.relative_to(root)
        self.name = ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text("utf-8")
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.file: MutatedFile = mutate_file_contents(str(self.path), text)

    def mutants(self) -> Iterator[Mutant]:
        """All of them, in the order of the code."""
        for name in self.file.mutant_names:
            whole = f"{self.name}.{name}"
            yield Mutant(whole, self.name, mangled_name_from_mutant_name(whole), self.digest)

    @cached_property
    def _lines(self) -> list[str]:
        return self.file.code.splitlines()

    def change(self, mutant: Mutant) -> tuple[str, str]:
        """What the mutant took out and what it put in, each as lines without their indentation."""
        name = mutant.name.rpartition(".")[2]
        before = self._function(re.sub(r"__mutmut_\d+$", "__mutmut_orig", name))
        after = self._function(name)
        out, put = list[str](), list[str]()
        for line in difflib.ndiff(before, after):
            if line.startswith("- "):
                out.append(line[2:].strip())
            elif line.startswith("+ "):
                put.append(line[2:].strip())
        return "\n".join(out), "\n".join(put)

    def _function(self, name: str) -> list[str]:
        span = self.file.line_span_by_function_name[name]
        lines = self._lines[span.start - 1 : span.end]
        return [_NAME.sub("_", line).replace("  # type: ignore # mutmut generated", "") for line in lines]


def shown(function: str) -> str:
    """A function's name as people write it: ``pwsync.scope.Scope.reason`` of ``pwsync.scope.xǁScopeǁreason``."""
    module, _, name = function.rpartition(".")
    return f"{module}.{name.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def mutate(root: Path, into: Path) -> dict[str, MutatedModule]:
    """Write the agent with its mutants below ``into``; the modules by name."""
    modules = {}
    for path in sorted((root / "pwsync").rglob("*")):
        target = into / path.relative_to(root)
        if path.is_dir() or path.suffix == ".pyc":
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".py":
            target.write_bytes(path.read_bytes())
            continue
        module = MutatedModule(root, path)
        modules[module.name] = module
        target.write_text(module.file.code, "utf-8")
    return modules

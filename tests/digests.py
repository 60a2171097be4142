"""The digests of all shipped scenarios on this Python beside those that other Pythons left; exit code 1 if they differ.

Run as ``python tests/digests.py FOLDER``; each Python leaves a file of its own in the folder, which is named after the
sources that it was made from, so that files of other sources are not compared.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from functools import partial
from pathlib import Path

from simulator.scenario.runner import RunOptions, run_case
from simulator.suite import collect, suite_digest
from simulator.workers import cores, run_cases

ROOT = Path(__file__).parents[1]


def fingerprint() -> str:
    """Of everything that may change what a run leaves behind."""
    sha = hashlib.sha256()
    for folder in ("pwsync", "simulator", "scenarios"):
        for path in sorted(ROOT.joinpath(folder).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                sha.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return sha.hexdigest()[:16]


def main(folder: Path) -> int:
    """Run all, write what came, compare."""
    cases = collect([str(ROOT / "scenarios")]).cases
    found = dict(run_cases(cases, partial(run_case, options=RunOptions()), jobs=cores(), keep_trace=False))
    results = [found[index] for index in range(len(cases))]
    mine = {result.id: result.digest for result in results}
    version = platform.python_version()
    print(f"Python {version}: {len(mine)} scenarios, digest {suite_digest(results)}")
    place = folder / fingerprint()
    place.mkdir(parents=True, exist_ok=True)
    code = 0
    for other in sorted(place.glob("*.json")):
        theirs = json.loads(other.read_text())
        apart = [name for name in {**theirs, **mine} if theirs.get(name) != mine.get(name)]
        print(f"  {'the same as' if not apart else f'{len(apart)} differ, first {apart[0]}, from'} Python {other.stem}")
        code = code or bool(apart)
    (place / f"{version}.json").write_text(json.dumps(mine))
    return int(code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

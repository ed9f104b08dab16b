"""Breaks one promise at a time and shows that the tests notice: `python -m tests.mutants`.

Each mutant is a small patch to a copy of the tree, with the tests that must go red.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One promise broken: in `file`, `old` becomes `new`; `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = (
    Mutant(
        name="no fence: a late store is accepted",
        file="core/stores/redis.py",
        old="if string.sub(record, 34, 53) ~= ARGV[2] then",
        new="if false then",
        tests="tests/stores tests/test_cache.py",
    ),
    Mutant(
        name="no fence in memory",
        file="core/stores/memory.py",
        old="if record.sequence != expected:",
        new="if False:",
        tests="tests/stores tests/test_cache.py",
    ),
    Mutant(
        name="a moved record is not checked before the store is tried again",
        file="core/decider.py",
        old="if not may_store(entry, record):",
        new="if False:",
        tests="tests/test_cache.py",
    ),
    Mutant(
        name="a missing record counts as one that hides nothing",
        file="core/bans.py",
        old="if header.incarnation != record.incarnation or header.sequence > record.sequence:",
        new="if False:",
        tests="tests/test_bans.py tests/test_cache.py",
    ),
    Mutant(
        name="no floor: a retired ban is forgotten by late stores",
        file="core/bans.py",
        old="floor=max(record.floor, *(ban.sequence for ban in gone)),",
        new="floor=record.floor,",
        tests="tests/test_bans.py tests/test_invalidation.py",
    ),
    Mutant(
        name="a key ban is pushed out without raising the floor",
        file="core/bans.py",
        old="floor = max(floor, oldest.sequence)",
        new="pass",
        tests="tests/test_bans.py",
    ),
    Mutant(
        name="the stamp is taken when the answer is stored",
        file="core/decider.py",
        old="sequence=miss.stamp.sequence,",
        new="sequence=self.store_.ensure_record(keyed.slot).sequence,",
        tests="tests/test_cache.py",
    ),
    Mutant(
        name="a ban is retired though its pass was stopped",
        file="core/sweep.py",
        old="            if self._should_stop():\n                return False",
        new="            if self._should_stop():\n                return True",
        tests="tests/test_invalidation.py",
    ),
    Mutant(
        name="a sweep deletes what was stored after it was looked at",
        file="core/stores/redis.py",
        old="if stamp == ARGV[2 * i - 1] then",
        new="if true then",
        tests="tests/stores",
    ),
    Mutant(
        name="flights are shared across an invalidation",
        file="core/singleflight.py",
        old="class FlightKey(msgspec.Struct, frozen=True):",
        new="class FlightKey(msgspec.Struct, frozen=True, eq=False):\n    def __eq__(self, other):\n"
        "        return self.name == other.name\n    def __hash__(self):\n        return hash(self.name)\n",
        tests="tests/test_singleflight.py",
    ),
    Mutant(
        name="an alias is not checked against the record",
        file="core/lookup.py",
        old="    seen = visibility(alias, record)\n    if seen is Visibility.HIDDEN:",
        new="    seen = visibility(alias, record)\n    if False:",
        tests="tests/test_lookup.py",
    ),
    Mutant(
        name="the scope of a value is not compared",
        file="core/lookup.py",
        old=" or header.scope != identity.scope",
        new="",
        tests="tests/test_lookup.py",
    ),
    Mutant(
        name="the namespace is not part of the identity",
        file="core/keys.py",
        old="            (\n                namespace,\n",
        new='            (\n                "",\n',
        tests="tests/test_keys.py",
    ),
    Mutant(
        name="the checksum is not compared",
        file="core/codec.py",
        old="if zlib.crc32(memoryview(value)[_CHECKED_FROM:], flags) !=",
        new="if False and 0 !=",
        tests="tests/test_codec.py",
    ),
)


def survives(mutant: Mutant) -> bool:
    """Whether the tests stay green although the promise is broken. Raises SystemExit when the patch does not apply."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "encore")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "screenshots"))
        target = copy / mutant.file
        text = target.read_text()
        if text.count(mutant.old) != 1:
            raise SystemExit(f"{mutant.name}: its patch does not apply to {mutant.file}")
        target.write_text(text.replace(mutant.old, mutant.new))
        tests = [test for test in mutant.tests.split() if (copy / test).exists()]
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = result.stdout.splitlines()
        red = next((line for line in lines if line.startswith(("FAILED", "ERROR"))), "")
        print(f"{'survived' if result.returncode == 0 else 'caught':9} {mutant.name}\n          {red[:150]}")
        return result.returncode == 0


def main() -> None:
    wanted = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not wanted or any(word in mutant.name for word in wanted)]
    survivors = [mutant.name for mutant in chosen if survives(mutant)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()

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
    Mutant(
        name="what a soft ban marked becomes fresh again when it is old",
        file="core/bans.py",
        old="or (ban.state in (BanState.HELD, BanState.SOFT) and ban.due_at <= now)",
        new="or (ban.state is BanState.HELD and ban.due_at <= now)",
        tests="tests/test_invalidation.py",
    ),
    Mutant(
        name="a sweep deletes the entries of a record made meanwhile",
        file="core/sweep.py",
        old="if current is None or current.incarnation != record.incarnation:",
        new="if False:",
        tests="tests/test_invalidation.py",
    ),
    Mutant(
        name="an entry with a long header outlives its sweep",
        file="core/sweep.py",
        old="return codec.decode_entry(value) if value is not None else None",
        new="return None",
        tests="tests/test_invalidation.py",
    ),
    Mutant(
        name="a key ban with further criteria deletes what they do not match",
        file="core/invalidation.py",
        old="at_once = is_key and hold == 0 and not soft",
        new="at_once = criteria.key is not None and hold == 0 and not soft",
        tests="tests/test_invalidation.py",
    ),
    Mutant(
        name="a bucket that refuses leaves the others invalidated",
        file="core/invalidation.py",
        old="                for slot in done:\n",
        new="                for slot in []:\n",
        tests="tests/test_invalidation.py",
    ),
    Mutant(
        name="an audit log that cannot be written keeps an answer alive",
        file="core/invalidation.py",
        old="    except (StoreUnavailable, WriteRefused, OutcomeUnknown) as error:\n        logger",
        new="    except KeyboardInterrupt as error:\n        logger",
        tests="tests/test_invalidation.py",
    ),
    Mutant(
        name="a job may name any function",
        file="workers/queue/job.py",
        old="if function is None or self._instance is not None:",
        new="if False:",
        tests="tests/workers/test_pool.py::test_workers_run_nothing_but_their_own_tasks_and_live_on",
    ),
    Mutant(
        name="a job's record names what is called after it",
        file="workers/queue/job.py",
        old="        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None\n",
        new="",
        tests="tests/workers/test_pool.py::test_callbacks_and_webhooks_that_a_record_names_are_not_called",
    ),
    Mutant(
        name="a sweep that was lost is taken for one that runs",
        file="workers/queue/jobs.py",
        old="return waits is not None or moves is not None or is_scheduled is not None or is_running",
        new="return True",
        tests="tests/workers/test_queue.py",
    ),
    Mutant(
        name="the reconciler starts again what an operator stopped",
        file="workers/queue/jobs.py",
        old='return None if self._rests("sweep", namespace, REST_SECONDS) else self.enqueue_sweep(namespace)',
        new="return self.enqueue_sweep(namespace)",
        tests="tests/workers/test_queue.py",
    ),
    Mutant(
        name="a pool that ends waits for the whole job",
        file="workers/queue/worker.py",
        old="            os.kill(self.horse_pid, signal.SIGTERM)\n",
        new="            pass\n",
        tests="tests/workers/test_pool.py::"
        "test_a_pool_that_is_asked_to_end_ends_between_two_batches_and_puts_the_job_back",
    ),
    Mutant(
        name="a schedule runs once for each that looks",
        file="core/schedules.py",
        old="            if not self._client.set(_LOCK, token, nx=True, px=LOCK_MS):\n                return []\n",
        new="            pass\n",
        tests="tests/test_schedules.py",
    ),
    Mutant(
        name="a stream that was cut is kept",
        file="core/http/exchange.py",
        old='        self.fail(IncompleteStream("it ended early"))\n',
        new="        self.complete()\n",
        tests="tests/http/test_streams.py",
    ),
    Mutant(
        name="the caller sees the end of a stream before it is kept",
        file="core/http/driver.py",
        old="                    exchange.complete()\n",
        new="                    pass\n",
        tests="tests/http/test_sdk.py",
    ),
    Mutant(
        name="usage that was not asked for is shown",
        file="core/http/exchange.py",
        old='            if chunks and "usage" in chunks[0]:',
        new="            if False:",
        tests="tests/http/test_streams.py",
    ),
    Mutant(
        name="callers of the gateway share answers by accident",
        file="core/http/callers.py",
        old="digest = hashlib.sha256(repr(given).encode()).hexdigest()",
        new='digest = "0" * 64',
        tests="tests/http/test_gateway.py",
    ),
    Mutant(
        name="a caller may name any namespace",
        file="core/http/callers.py",
        old='    namespace = f"{caller.namespace}.{controls.namespace}"',
        new="    namespace = controls.namespace",
        tests="tests/http/test_gateway.py",
    ),
    Mutant(
        name="a caller without a key is cached",
        file="core/http/gateway.py",
        old='bypass="" if caller.namespace is not None else NO_NAMESPACE,',
        new='bypass="",',
        tests="tests/http/test_gateway.py",
    ),
    Mutant(
        name="the gateway's keys go on to the provider",
        file="core/http/callers.py",
        old="        if self._keys:\n            return []\n",
        new="",
        tests="tests/http/test_callers.py",
    ),
    Mutant(
        name="a client that left keeps the provider busy",
        file="core/http/gateway.py",
        old="                if is_awaited():",
        new="                if True:",
        tests="tests/http/test_streams.py",
    ),
    Mutant(
        name="a client that left takes the answer from those who wait",
        file="core/http/gateway.py",
        old="                if is_awaited():",
        new="                if False:",
        tests="tests/http/test_streams.py",
    ),
    Mutant(
        name="what a cancelled caller had begun is left behind",
        file="core/threads.py",
        old="unclaimed(done.result()) if done.exception() is None else None",
        new="None",
        tests="tests/http/test_single_flight.py",
    ),
    Mutant(
        name="a failure is paid for by each of those who wait",
        file="core/singleflight.py",
        old="        shared = error if failures > MAX_TAKEOVERS else None",
        new="        shared = None",
        tests="tests/http/test_single_flight.py",
    ),
    Mutant(
        name="each stale hit asks for a refresh of its own",
        file="core/refresh.py",
        old="_encode(asked), nx=True, ex=WAITS_SECONDS",
        new="_encode(asked), ex=WAITS_SECONDS",
        tests="tests/test_refresh.py",
    ),
    Mutant(
        name="functions share answers",
        file="core/calls.py",
        old='        | {"llm_function": _name(llm_function)},',
        new="        | {},",
        tests="tests/test_cached_llm_call.py",
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
        tests = [test for test in mutant.tests.split() if (copy / test.partition("::")[0]).exists()]
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode not in (0, 1):  # neither green nor red: the tests did not run
            raise SystemExit(f"{mutant.name}: {result.stdout[-1000:]}{result.stderr[-1000:]}")
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

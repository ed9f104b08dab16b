"""Breaks one promise at a time and shows that the tests notice: `python -m tests.mutants`.

Each mutant is a small patch to a copy of the tree, with the tests that must go red; every processor breaks another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
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
        name="whoever hides everything by a pattern needs no more right than for one entry",
        file="core/invalidation/rights.py",
        old="return share is None or share > LARGE_SHARE",
        new="return False",
        tests="tests/invalidation/test_rights.py",
    ),
    Mutant(
        name="a run of a schedule has every right",
        file="core/invalidation/schedules.py",
        old="role=Role.ADMIN if is_admins else Role.OPERATOR",
        new="role=Role.ADMIN",
        tests="tests/invalidation/test_rights.py",
    ),
    Mutant(
        name="no fence: a late store is accepted",
        file="core/stores/redis/scripts/write.lua",
        old="if string.sub(record, 34, 53) ~= ARGV[2] then",
        new="if false then",
        tests="tests/stores/test_contract.py tests/cache/test_cache.py",
    ),
    Mutant(
        name="no fence in memory",
        file="core/stores/memory.py",
        old="if record.sequence != expected:",
        new="if False:",
        tests="tests/stores/test_contract.py tests/cache/test_cache.py",
    ),
    Mutant(
        name="a moved record is not checked before the store is tried again",
        file="core/cache/writer.py",
        old="if not may_store(entry, record):",
        new="if False:",
        tests="tests/cache/test_cache.py",
    ),
    Mutant(
        name="a missing record counts as one that hides nothing",
        file="core/bans/record.py",
        old="if header.incarnation != record.incarnation or header.sequence > record.sequence:",
        new="if False:",
        tests="tests/bans/test_record.py tests/cache/test_cache.py",
    ),
    Mutant(
        name="no floor: a retired ban is forgotten by late stores",
        file="core/bans/record.py",
        old="floor=max(record.floor, *(ban.sequence for ban in gone)),",
        new="floor=record.floor,",
        tests="tests/bans/test_record.py tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a key ban is pushed out without raising the floor",
        file="core/bans/record.py",
        old="floor = max(floor, oldest.sequence)",
        new="pass",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="the stamp is taken when the answer is stored",
        file="core/cache/flow.py",
        old="self._writer.entry(call, stamp, ",
        new="self._writer.entry(call, (yield __import__('core.cache.effects', fromlist=['']).MakeRecord(call)).stamp, ",
        tests="tests/cache/test_cache.py",
    ),
    Mutant(
        name="a ban is retired though its pass was stopped",
        file="core/invalidation/sweep.py",
        old="            if self._should_stop():\n                return False",
        new="            if self._should_stop():\n                return True",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="loose copies: an old one is looked at again with a newer record",
        file="core/stores/local.py",
        old="if copy.record is not record or now",
        new="if now",
        tests="tests/stores/test_local.py",
    ),
    Mutant(
        name="loose copies: a record of the same sequence will do",
        file="core/stores/local.py",
        old="if copy.record is not record or now",
        new="if copy.record.stamp != record.stamp or now",
        tests="tests/stores/test_local.py",
    ),
    Mutant(
        name="loose copies: their time counts from the record's arrival",
        file="core/stores/local.py",
        old="        values, record = self._store.read(slot, digests)\n",
        new="        values, record = self._store.read(slot, digests)\n        asked_at = self._monotonic()\n",
        tests="tests/stores/test_local.py",
    ),
    Mutant(
        name="copies are served without a grant",
        file="core/stores/local.py",
        old="may_serve = min(self._seconds, record.copies_seconds)",
        new="may_serve = self._seconds",
        tests="tests/stores/test_local.py",
    ),
    Mutant(
        name="an invalidation does not wait for copies",
        file="core/invalidation/invalidator.py",
        old="        self._durability.await_local_expiry(records)\n",
        new="",
        tests="tests/stores/test_local.py",
    ),
    Mutant(
        name="a repeated invalidation does not wait for copies",
        file="core/invalidation/invalidator.py",
        old="            self._durability.await_local_expiry(in_force)  #",
        new="            pass  #",
        tests="tests/stores/test_local.py",
    ),
    Mutant(
        name="a copy outlives the newer answer of its own process",
        file="core/stores/local.py",
        old=" and asked_at > self._forgotten_at:",
        new=":",
        tests="tests/stores/test_local.py",
    ),
    Mutant(
        name="what is known of the bypass switch never grows old",
        file="core/stores/redis/shared_hash.py",
        old="copy is not None and self._monotonic() - copy[0] < COPY_SECONDS else None",
        new="copy is not None else None",
        tests="tests/cache/test_bypass.py",
    ),
    Mutant(
        name="a restart of Redis turns the bypass switch off",
        file="core/cache/bypass.py",
        old="                found = before  # Redis",
        new="                pass  # Redis",
        tests="tests/cache/test_bypass.py",
    ),
    Mutant(
        name="requests of which it is not known whether they bypass are served",
        file="core/cache/flow.py",
        old="                call.store_failed = is_on is None\n",
        new="",
        tests="tests/cache/test_bypass.py",
    ),
    Mutant(
        name="a sweep deletes what was stored after it was looked at",
        file="core/stores/redis/scripts/remove.lua",
        old="first, last) == ARGV[2 * i - 3] then",
        new="first, last) ~= 1 then",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="flights are shared across an invalidation",
        file="core/cache/flights.py",
        old="class FlightKey(msgspec.Struct, frozen=True):",
        new="class FlightKey(msgspec.Struct, frozen=True, eq=False):\n    def __eq__(self, other):\n"
        "        return self.name == other.name\n    def __hash__(self):\n        return hash(self.name)\n",
        tests="tests/cache/test_singleflight.py",
    ),
    Mutant(
        name="an alias is not checked against the record",
        file="core/stores/lookup.py",
        old="    seen = visibility(alias, record)\n    if seen is Visibility.HIDDEN:",
        new="    seen = visibility(alias, record)\n    if False:",
        tests="tests/stores/test_lookup.py",
    ),
    Mutant(
        name="the scope of a value is not compared",
        file="core/stores/lookup.py",
        old=" or header.scope != identity.scope",
        new="",
        tests="tests/stores/test_lookup.py",
    ),
    Mutant(
        name="the namespace is not part of the identity",
        file="core/keys/identity.py",
        old="    parts = (\n        namespace,\n",
        new='    parts = (\n        "",\n',
        tests="tests/keys/test_identity.py",
    ),
    Mutant(
        name="the checksum is not compared",
        file="core/stores/codec.py",
        old="if zlib.crc32(memoryview(value)[_CHECKED_FROM:], flags) !=",
        new="if False and 0 !=",
        tests="tests/stores/test_codec.py",
    ),
    Mutant(
        name="what a soft ban marked becomes fresh again when it is old",
        file="core/bans/record.py",
        old="or (ban.state in (BanState.HELD, BanState.SOFT) and ban.due_at <= now)",
        new="or (ban.state is BanState.HELD and ban.due_at <= now)",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a sweep deletes the entries of a record made meanwhile",
        file="core/invalidation/sweep.py",
        old="if current is None or current.incarnation != record.incarnation:",
        new="if False:",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="an entry with a long header outlives its sweep",
        file="core/invalidation/sweep.py",
        old="return codec.summarize(value, with_text=False) if value is not None else None",
        new="return None",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a key ban with further criteria deletes what they do not match",
        file="core/invalidation/invalidator.py",
        old="at_once=is_key and hold == 0 and not soft",
        new="at_once=criteria.key is not None and hold == 0 and not soft",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a bucket that refuses leaves the others invalidated",
        file="core/invalidation/invalidator.py",
        old="            for slot in done:\n",
        new="            for slot in []:\n",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="an audit log that cannot be written keeps an answer alive",
        file="core/access/audit.py",
        old="        except (StoreUnavailable, WriteRefused, OutcomeUnknown) as error:\n            logger",
        new="        except KeyboardInterrupt as error:\n            logger",
        tests="tests/access/test_audit.py tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a ban is retired before a full pass",
        file="core/invalidation/sweep.py",
        old="        if not self._listed(slot, record, swept, models, progress) or",
        new="        self._store.change_record(slot, lambda record: bans.retire(record, [ban.id for ban in swept]))\n"
        "        if not self._listed(slot, record, swept, models, progress) or",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a ban is retired when the index has been walked",
        file="core/invalidation/sweep.py",
        old=" or not self._pass(slot, record, swept, progress):",
        new=":",
        tests="tests/stores/redis/test_store.py tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a sweep retires what was not due when it began",
        file="core/invalidation/sweep.py",
        old="bans.retire(record, [ban.id for ban in swept]))",
        new="bans.retire(record, [ban.id for ban in record.bans]))",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a ban hides what was generated after it",
        file="core/bans/record.py",
        old="        if ban.sequence > header.sequence and ban.matches(entry):\n            if",
        new="        if ban.matches(entry):\n            if",
        tests="tests/bans/test_record.py tests/cache/test_cache.py",
    ),
    Mutant(
        name="an entry from a point in history that was rolled back is served",
        file="core/bans/record.py",
        old=" or header.sequence > record.sequence:\n        return Visibility.FOREIGN",
        new=":\n        return Visibility.FOREIGN",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="a number in the record's history may come again after a roll-back",
        file="core/bans/record.py",
        old="sequence = max(record.sequence + 1, int(now * 1e6))",
        new="sequence = record.sequence + 1",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="two invalidations at a moment have the same number",
        file="core/bans/record.py",
        old="sequence = max(record.sequence + 1, int(now * 1e6))",
        new="sequence = max(record.sequence, int(now * 1e6))",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="a record that is made again has the incarnation of the lost one",
        file="core/bans/record.py",
        old="incarnation=secrets.token_bytes(16)",
        new='incarnation=b"0" * 16',
        tests="tests/cache/test_cache.py tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a store under a record made meanwhile is accepted",
        file="core/stores/redis/scripts/write.lua",
        old="if string.sub(record, 1, 32) ~= ARGV[1] then return {'incarnation'} end",
        new="",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a store without a record is accepted",
        file="core/stores/redis/scripts/write.lua",
        old="if not record then return {'no-record'} end\nif string.sub(record, 1, 32) ~= ARGV[1] then",
        new="if not record then record = ARGV[1] .. ' ' .. ARGV[2] end\nif string.sub(record, 1, 32) ~= ARGV[1] then",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a late store is not measured against the floor",
        file="core/bans/record.py",
        old="if header.incarnation != record.incarnation or record.floor > header.sequence:",
        new="if header.incarnation != record.incarnation:",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="an invalidation fails when memory is full",
        file="core/stores/redis/scripts/swap.lua",
        old="redis.call('UNLINK', KEYS[2])\nredis.call('SET', KEYS[1], ARGV[2])",
        new="redis.call('SET', KEYS[1], ARGV[2])\nredis.call('UNLINK', KEYS[2])",
        tests="tests/stores/redis/test_store.py",
    ),
    Mutant(
        name="changes to a record that come together overwrite each other",
        file="core/stores/redis/scripts/swap.lua",
        old="if current ~= ARGV[1] then return {0, current} end",
        new="",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="an undo takes the record's history back",
        file="core/bans/record.py",
        old="replace(record, bans=tuple(other for other in record.bans if other is not ban))",
        new="replace(record, bans=tuple(b for b in record.bans if b is not ban), sequence=ban.sequence - 1)",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="what a sweep has begun to delete can be undone",
        file="core/bans/record.py",
        old="    if ban.state is BanState.SWEEPING:\n",
        new="    if False:\n",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="an undo in one bucket does not wait for the others",
        file="core/invalidation/invalidator.py",
        old="                bans.lift(record, known.id)\n                found.append",
        new="                found.append",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="an invalidation is acknowledged before all buckets have it",
        file="core/invalidation/invalidator.py",
        old="        for slot in plan.slots:\n",
        new="        for slot in plan.slots[:1]:\n",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="any number of bans may be active",
        file="core/bans/record.py",
        old="    if len(bans) >= MAX_ACTIVE_BANS:",
        new="    if False:",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="a soft ban hides",
        file="core/bans/record.py",
        old="            if ban.state is not BanState.SOFT:\n                return Visibility.HIDDEN",
        new="            if True:\n                return Visibility.HIDDEN",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="a repeated request invalidates again",
        file="core/invalidation/invalidator.py",
        old="        if request_id is not None and (known := ",
        new="        if False and (known := ",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a key ban without a hold leaves the entry",
        file="core/invalidation/invalidator.py",
        old="plan.criteria.digest if plan.at_once else None",
        new="None",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="what an operator asked for is not on record before it is done",
        file="core/invalidation/invalidator.py",
        old='        _record(trail, "requested", plan, plan.at, plan.details)\n',
        new="",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="an invalidation without an answer counts as not applied",
        file="core/stores/redis/failures.py",
        old="    if isinstance(error, redis.TimeoutError):\n        if writing:",
        new="    if isinstance(error, redis.TimeoutError):\n        if False:",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="the index is walked past what is newer than the ban",
        file="core/stores/redis/scripts/remove_model.lua",
        old="or number('>I8', stamp, 17) >= sequence then return false end",
        new="then return false end",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="the index is walked into a lost record's successor",
        file="core/stores/redis/scripts/remove_model.lua",
        old="if sub(stamp, 1, 16) ~= incarnation or",
        new="if",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass leaves out what was stored just before the ban",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="if sequence < filter.sequence then",
        new="if sequence < filter.sequence - 1 then",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass leaves out what a lost record's writers stored",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="if later or sub(stamp, 1, 16) ~= incarnation then return later end",
        new="if sub(stamp, 1, 16) ~= incarnation then return {} end\n  if later then return later end",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass takes one model for another",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="LENGTHS_OFFSET + #names) ~= names)",
        new="LENGTHS_OFFSET + #names) == names)",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="an invalidation is acknowledged before its replicas have it",
        file="core/invalidation/durability.py",
        old="if have < self._replicas:",
        new="if have < 0:",
        tests="tests/stores/redis/test_replicas.py",
    ),
    Mutant(
        name="a pass leaves out the aliases of a key",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="return sub(head, at, at + 31) == filter.digest",
        new="return false",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass leaves out what has one of the words",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="if has_all then return true end",
        new="if has_all then return #groups == 1 end",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass compares words with capitals",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="local folded = lower(text)",
        new="local folded = text",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass leaves out what is folded into ASCII",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="if find(text, character, 1, true) then return true end",
        new="if find(text, character, 1, true) then return false end",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass takes the beginning of a long prompt for all of it",
        file="core/stores/redis/scripts/scan_matching.lua",
        old="return to <= #head and sub(head, from, to) or nil",
        new="return sub(head, from, to)",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="an alias that was written again goes with the old entry",
        file="core/stores/redis/scripts/remove_model.lua",
        old="return not cutoff or number('>d'",
        new="return true or number('>d'",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="aliases outlive their entries",
        file="core/stores/redis/scripts/remove_model.lua",
        old="for at = 1, #row, ROW_DIGITS do",
        new="for at = 1, 1 do",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="memory is walked past what is newer than the ban",
        file="core/stores/memory.py",
        old="stamp.incarnation == before.incarnation and stamp.sequence < before.sequence",
        new="stamp.incarnation == before.incarnation",
        tests="tests/stores/test_contract.py",
    ),
    Mutant(
        name="a pass over a slot that moves counts as complete",
        file="core/stores/redis/cluster.py",
        old="        if self._owner(prefix)[0] != owner:",
        new="        if False:",
        tests="tests/stores/redis/test_cluster.py",
    ),
    Mutant(
        name="a slot that is being moved is walked",
        file="core/stores/redis/cluster.py",
        old='if any(int(migration["slot"]) == slot for migration in own["migrations"]):',
        new="if False:",
        tests="tests/stores/redis/test_cluster.py",
    ),
    Mutant(
        name="a summary of a value has another point in history",
        file="core/stores/codec.py",
        old="sequence, created_at, target, words.prompt, words.tags)",
        new="sequence + 1, created_at, target, words.prompt, words.tags)",
        tests="tests/stores/test_codec.py",
    ),
    Mutant(
        name="a preview selects otherwise than the ban",
        file="core/invalidation/preview.py",
        old="if self._criteria.matches(entry.header, entry.prompt, entry.tags):",
        new="if self._criteria.matches(entry.header, entry.prompt.lower(), ()):",
        tests="tests/invalidation/test_invalidator.py",
    ),
    Mutant(
        name="a pattern that matches everything is taken",
        file="core/bans/criteria.py",
        old='    if not pattern.strip("*? "):',
        new="    if False:",
        tests="tests/bans/test_record.py",
    ),
    Mutant(
        name="what a lookup finds is not checked against the bans",
        file="core/stores/lookup.py",
        old="    if seen is Visibility.HIDDEN:\n        return MissReason.INVALIDATED\n",
        new="",
        tests="tests/stores/test_lookup.py tests/cache/test_cache.py",
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
        name="what is to be on disk is acknowledged before",
        file="core/bootstrap.py",
        old="        synced=settings.invalidation_synced,\n",
        new="",
        tests="tests/stores/redis/test_replicas.py",
    ),
    Mutant(
        name="what Redis may have done is said not to be done",
        file="core/stores/redis/connection.py",
        old="            raise unanswered from None",
        new="            raise",
        tests="tests/stores/redis/test_unanswered.py",
    ),
    Mutant(
        name="a sweep that was lost is taken for one that runs",
        file="workers/queue/scripts/forget_job.lua",
        old="if ARGV[i] == status and is_somewhere() then return 0 end",
        new="if ARGV[i] == status then return 0 end",
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
        file="core/invalidation/schedules.py",
        old="for schedule in (self.all() if is_held else ())",
        new="for schedule in self.all()",
        tests="tests/invalidation/test_schedules.py",
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
        old='    part = f"{caller.namespace}{PART_SEPARATOR}{controls.namespace}"',
        new="    part = controls.namespace",
        tests="tests/http/test_gateway.py",
    ),
    Mutant(
        name="a caller can spell an operator's namespace",
        file="core/keys/names.py",
        old='PART_SEPARATOR: Final = "~"',
        new='PART_SEPARATOR: Final = "."',
        tests="tests/http/test_callers.py",
    ),
    Mutant(
        name="a process starts beside a newer form",
        file="core/stores/redis/form.py",
        old="        raise InvalidSettings([problem])",
        new="        logger.warning(problem)",
        tests="tests/stores/redis/test_form.py",
    ),
    Mutant(
        name="a caller without a key is cached",
        file="core/http/gateway.py",
        old='bypass="" if inbound.controls.namespace is not None else NO_NAMESPACE,',
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
        file="core/cache/drivers.py",
        old="working.add_done_callback(partial(_end_later, loop, run))",
        new="pass",
        tests="tests/cache/test_drivers.py",
    ),
    Mutant(
        name="a failure is paid for by each of those who wait",
        file="core/cache/flights.py",
        old="        shared = error if failures > MAX_TAKEOVERS else None",
        new="        shared = None",
        tests="tests/http/test_single_flight.py",
    ),
    Mutant(
        name="each stale hit asks for a refresh of its own",
        file="core/cache/revalidation.py",
        old="_encode(asked), nx=True, ex=WAITS_SECONDS",
        new="_encode(asked), ex=WAITS_SECONDS",
        tests="tests/cache/test_revalidation.py",
    ),
    Mutant(
        name="functions share answers",
        file="core/function.py",
        old='        | {"llm_function": name},',
        new="        | {},",
        tests="tests/test_function.py",
    ),
    Mutant(
        name="a lease is not renewed while its answer is being computed",
        file="core/stores/leases.py",
        old="kept = self._store.renew(slot, [lease.claim for lease in leases], self._lease_ms)",
        new="kept = [True for lease in leases]",
        tests="tests/stores/test_leases.py",
    ),
    Mutant(
        name="a lease that may have been taken is left behind",
        file="core/stores/leases.py",
        old="except OutcomeUnknown:\n            self.give_back_later(lease)",
        new="except OutcomeUnknown:\n            pass",
        tests="tests/stores/test_leases.py",
    ),
    Mutant(
        name="a renewal takes another caller's lease away",
        file="core/stores/redis/scripts/renew.lua",
        old="elseif holder then",
        new="elseif false then",
        tests="tests/stores/test_contract.py tests/stores/test_leases.py",
    ),
    Mutant(
        name="functions made with other values share answers",
        file="core/keys/callables.py",
        old="            if _is_plain(value) or (isinstance(value, _FUNCTIONS) and value is not holder):\n",
        new="            if True:\n                continue\n            if _is_plain(value):\n",
        tests="tests/keys/test_callables.py",
    ),
    Mutant(
        name="functions made with objects share answers",
        file="core/keys/callables.py",
        old="        return form if is_plain else [_itself(holder), *form]\n",
        new="        return form\n",
        tests="tests/keys/test_callables.py",
    ),
    Mutant(
        name="a mapping is taken for the answer that it holds",
        file="core/function.py",
        old="        if rest is not None:\n            return {TEXT: text, **rest, **about}\n",
        new="",
        tests="tests/test_function.py",
    ),
    Mutant(
        name="a forked child goes on with the locks and threads of its parent",
        file="core/concurrency/background.py",
        old="        begin(owner)\n",
        new="        pass\n",
        tests="tests/concurrency/test_background.py",
    ),
    Mutant(
        name="a forked child takes apart what its parent made",
        file="core/concurrency/background.py",
        old="        _inherited.append(dict(vars(owner)))\n",
        new="",
        tests="tests/concurrency/test_background.py",
    ),
    Mutant(
        name="a text of combining marks is normalized, whatever their number",
        file="core/text/forms.py",
        old="        if run > MOST_MARKS:",
        new="        if False:",
        tests="tests/text/test_forms.py",
    ),
    Mutant(
        name="an error about a credential is shared",
        file="core/policy/cacheability.py",
        old="    return _status_of(error) in (401, 403, 429)",
        new="    return False",
        tests="tests/cache/test_cache.py",
    ),
    Mutant(
        name="an error is shared with whoever waits, whatever key was sent",
        file="core/cache/singleflight.py",
        old="(result.error is not None and flight.credential != call.credential)",
        new="False",
        tests="tests/http/test_single_flight.py",
    ),
    Mutant(
        name="what comes with a key makes another caller",
        file="core/http/callers.py",
        old="given = [(name, _canonical(value)) for name, value in given if self._is_key(_token(value))][:1]",
        new="given = given if any(self._is_key(_token(value)) for _, value in given) else []",
        tests="tests/http/test_callers.py",
    ),
    Mutant(
        name="an idle record is removed though it has changed",
        file="core/stores/redis/scripts/forget.lua",
        old="~= ARGV[1]",
        new="== nil",
        tests="tests/invalidation/test_idle.py",
    ),
    Mutant(
        name="a namespace with a ban is idle",
        file="core/invalidation/idle.py",
        old="record.bans or ",
        new="",
        tests="tests/invalidation/test_idle.py",
    ),
    Mutant(
        name="JSON of any number of values is decoded",
        file="core/http/inbound.py",
        old="    return size <= most_values or ",
        new="    return True or ",
        tests="tests/http/test_inbound.py",
    ),
    Mutant(
        name="parameters of any shape are taken",
        file="core/wire/shapes.py",
        old="    if not isinstance(value, _SHAPES[name]):\n        return False\n",
        new="",
        tests="tests/border/test_shapes.py",
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
        told = f"{'survived' if result.returncode == 0 else 'caught':9} {mutant.name}\n          {red[:150]}"
        print(told, flush=True)
        return result.returncode == 0


def main() -> None:
    wanted = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not wanted or any(word in mutant.name for word in wanted)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        survivors = [mutant.name for mutant, lived in zip(chosen, threads.map(survives, chosen), strict=True) if lived]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()

"""The dashboard's series as a table for spreadsheets: a row a step, times in UTC. The present step is not complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from core.metrics import Bucket, GaugeBucket
from core.models import HitDetail
from core.text import to_csv

COLUMNS = (
    *("starts_at", "seconds", "complete", "requests", "hits"),
    *(f"hits_{detail.value}" for detail in HitDetail),
    *("misses", "bypasses", "errors", "hit_rate"),
    *(
        f"{name}_{percentile}_ms"
        for name in ("hit", "miss", "with_cache", "without_cache")
        for percentile in (50, 95, 99)
    ),
    *("saved_usd", "overhead_usd", "spent_usd", "saved_seconds", "saved_tokens"),
    *("entries", "memory_bytes", "evicted"),
)


def csv(buckets: Sequence[Bucket], sampled: Sequence[GaugeBucket], namespace: str | None) -> bytes:
    """The buckets, and what was sampled in the same steps: entries are of the namespace, or of all."""
    gauges = {bucket.starts_at: bucket for bucket in sampled}
    return to_csv(COLUMNS, [_row(bucket, gauges.get(bucket.starts_at), namespace) for bucket in buckets]).encode()


def _row(bucket: Bucket, gauge: GaugeBucket | None, namespace: str | None) -> list[object]:
    now = bucket.summary
    last = gauge.last if gauge else None
    latencies = (now.hit_latency, now.miss_latency, now.with_cache, now.without_cache)
    return [
        datetime.fromtimestamp(bucket.starts_at, UTC).isoformat(),
        bucket.seconds,
        str(bucket.is_complete).lower(),
        now.requests,
        now.hits,
        *(now.details.get(detail.value, 0) for detail in HitDetail),
        now.misses,
        now.bypasses,
        now.errors,
        now.hit_rate,
        *(value for latency in latencies for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms)),
        now.saved_cost_usd,
        now.overhead_usd,
        now.cost_usd,
        now.saved_seconds,
        now.saved_tokens,
        last.entries_of(namespace) if last else None,
        last.used_bytes if last else None,
        gauge.evicted if gauge else None,
    ]

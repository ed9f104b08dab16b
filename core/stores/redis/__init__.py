"""The only place that speaks Redis for entries, invalidation records, leases and indexes."""

"""Health, alerts and metrics for those who watch the cache."""

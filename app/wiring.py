"""Settings to a running service; the only place that builds things."""

"""Every Prometheus metric, declared together."""

"""Batcher, deployment, service: from one picture to one answer."""

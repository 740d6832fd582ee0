"""`lineside ...`: serve, predict, import, verify, detect-preprocess, models, architectures."""

from app.cli.main import main

__all__ = ["main"]

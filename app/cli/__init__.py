"""`lineside ...`: serve, predict, import, models, architectures."""

from app.cli.main import main

__all__ = ["main"]

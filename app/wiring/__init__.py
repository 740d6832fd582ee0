"""Settings to a running service, bundles to proved engines; the only room that builds things."""

from app.wiring.machine import Machine
from app.wiring.proof import Proved, environment, examine, prove, unproved
from app.wiring.server import Wiring

__all__ = ["Machine", "Proved", "Wiring", "environment", "examine", "prove", "unproved"]

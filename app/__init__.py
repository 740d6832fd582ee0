"""Lineside serves fine-tuned image classifiers beside a production line, and shows their evidence.

The rooms and who may know whom: docs/ARCHITECTURE.md.
"""

import os

__version__ = "0.1.0"

# torch's OpenMP threads spin while they wait for each other. Where anything else wants a core (decoding, the
# event loop, another program) they then wait for threads that cannot run, and a forward pass takes ten times as
# long. Asleep they cost a lone request little. Read once, when torch is first imported; docs/adr/0004.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

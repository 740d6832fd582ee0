"""Lineside serves fine-tuned image classifiers beside a production line, and shows their evidence.

The rooms and who may know whom: docs/ARCHITECTURE.md.
"""

__version__ = "0.1.0"

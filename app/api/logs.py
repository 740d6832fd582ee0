"""Log lines: JSON for machines, one object a line, or text for a person at a terminal."""

import logging
import logging.config
import time
from typing import Literal

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter


class JsonLines(JsonFormatter):
    """RFC 3339 in UTC, 2026-11-29T17:45:13.462Z: lines of two machines sort together, and no collector has to guess."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class TextLines(logging.Formatter):
    """For a person at a terminal: what was refused has its code, who asked and the id that the client was told."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """One line, but for our own lists of reasons."""
        line = super().formatMessage(record)
        if hasattr(record, "path"):
            # The client wrote it: a line break in it would be a line of its own, an escape a colour.
            line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
        if getattr(record, "status", 500) < 400:
            return line  # answered
        facts = [getattr(record, name) for name in ("code", "client", "id") if getattr(record, name, None)]
        return f"{line} ({', '.join(facts)})" if facts else line


def configure_logging(*, log_format: Literal["json", "text"], level: str) -> None:
    """Send every logger of this process to standard error in one form.

    uvicorn's access log is silenced: our own has the model, the class and the timings in it. So is its word on what is
    no HTTP request, which names nobody; ours does.
    """
    # Looked up for every line, and printed in none of ours.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"heard": {"()": lambda: _is_not_said_better}},
            "formatters": {
                "json": {
                    "()": JsonLines,
                    "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                    "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                    "timestamp": False,
                    "json_ensure_ascii": False,
                    # uvicorn's own words once more, for a terminal.
                    "reserved_attrs": [*RESERVED_ATTRS, "color_message"],
                },
                "text": {
                    "()": TextLines,
                    "fmt": "%(asctime)s %(levelname)-7s %(message)s",
                    "datefmt": "%H:%M:%S",
                },
            },
            "handlers": {
                "stderr": {
                    "class": "logging.StreamHandler",
                    "formatter": log_format,
                    "stream": "ext://sys.stderr",
                }
            },
            "root": {"handlers": ["stderr"], "level": level.upper()},
            "loggers": {
                "uvicorn.access": {"level": "CRITICAL", "propagate": False},
                "uvicorn.error": {
                    "filters": ["heard"],
                    "level": "WARNING" if log_format == "text" else level.upper(),
                },
            },
        }
    )


def _is_not_said_better(record: logging.LogRecord) -> bool:
    return record.msg != "Invalid HTTP request received."

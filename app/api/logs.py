"""Log lines: JSON for machines, one object a line, or text for a person at a terminal."""

import logging
import logging.config
from typing import Literal


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
                    "()": "pythonjsonlogger.json.JsonFormatter",
                    "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                    "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                    "timestamp": False,
                    "json_ensure_ascii": False,
                },
                "text": {"format": "%(asctime)s %(levelname)-7s %(message)s", "datefmt": "%H:%M:%S"},
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

"""`lineside serve`: the HTTP application under uvicorn, ending with exit code 0 after a drain."""

import logging
import signal
import socket
import sys
from contextlib import suppress

from rich.console import Console

from app.errors import SettingsInvalid
from app.settings import Settings

if sys.platform != "win32":
    import resource

log = logging.getLogger(__name__)


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        SettingsInvalid: the address is taken or not ours.
    """
    listener = _listen(settings.host, settings.port)
    # Only now torch: a taken port or a misspelt setting is told at once, not after seconds.
    from app.api.app import create_app  # noqa: PLC0415
    from app.api.server import server_for  # noqa: PLC0415
    from app.serving.priority import hand_over_soon  # noqa: PLC0415

    hand_over_soon()
    _allow_files()
    app = create_app(settings)
    logging.captureWarnings(capture=True)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listener.getsockname()[1]}"
    log.info("listening on %s", address)
    if settings.log_format == "text":
        _greet(address, settings)
    # uvicorn raises the signal again when it has ended; a drained server is a success, exit code 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup ignores it
        # A terminal that was closed, or a rotation of logs that thinks we write some: no answer is cut off.
        signal.signal(signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))
    server_for(app, drain_timeout_s=settings.drain_timeout_s).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything is loaded, so that a taken port is told at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Two that are bound to one port and do not listen yet do not see each other.
        listener.listen()
    except OSError as error:
        listener.close()
        raise SettingsInvalid(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another with --host and --port"
        ) from error
    return listener


def _allow_files() -> None:
    """As many open files as the system lets us have; each connection is one.

    The lower limit that processes begin with, often 1,024, is for programs that use select().
    """
    if sys.platform == "win32":
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says "unlimited" and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _greet(address: str, settings: Settings) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(
        f"\n  [bold]Lineside[/] serves [cyan]{settings.model_repository}/[/] on [bold cyan]{address}[/]\n"
    )
    console.print(f"  open   {address}           the page: drop a picture, see the class and why")
    console.print(f"  try    curl --data-binary @photo.jpg '{address}/predict'")
    console.print(
        f"         curl --data-binary @photo.jpg -H 'Accept: image/jpeg' '{address}/explain' -o why.jpg"
    )
    console.print(f"  read   {address}/docs\n")

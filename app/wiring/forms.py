"""Where a bundle's OpenVINO form comes from: the bundle itself, the server's cache, or an export into the cache.

bundle -> [openvino/ in it, copied into the cache] -> [cache] -> [export in a child process] -> Exported

A form in the cache is named by what it was made of, so it is never stale; it gets its name last, so two servers that make
the same one at the same time both find a whole one. Imports no torch.
"""

import importlib.util
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO

from app import __version__
from app.bundles.exported import EXPORTED_FOLDER, Exported, Form, bundle_form, network_key, read_exported
from app.bundles.files import hidden_sibling
from app.bundles.repository import Bundle
from app.errors import BundleRefused, ExportFailed, ShuttingDown
from app.exporting import FAILED, REFUSED
from app.wiring.cache import EXPORT_TIMEOUT_S, FormCache

log = logging.getLogger(__name__)

POLL_S = 0.2
"""How soon a child ends after the server was told to."""
STOP_S = 5.0
"""A signal to all processes at once (Ctrl-C, systemd) ends the child before the server, which answers on for a grace."""


def torch_is_installed() -> bool:
    """Told without importing it."""
    return (
        importlib.util.find_spec("torch") is not None and importlib.util.find_spec("torchvision") is not None
    )


def float32_form(bundle: Bundle, cache: FormCache, stopping: threading.Event) -> Exported:
    """The bundle's own form, or a cached one, or a new one.

    Args:
        bundle: opened.
        cache: where new ones are kept, and held while it is used.
        stopping: set when the server stops; an export then ends unfinished.

    Raises:
        ExportFailed: there is none and none can be made.
        BundleRefused: weights and manifest do not go together.
        ShuttingDown: the server stops.
    """
    if (found := own_form(bundle, "float32", cache)) is not None:
        return found
    folder = cache.forms / _name(bundle)
    if (found := _kept(cache, folder, bundle, "float32")) is not None:
        return found
    if not torch_is_installed():
        raise ExportFailed(
            f"{bundle.name}/{bundle.version} has no `{EXPORTED_FOLDER}/` and torch, which makes it, is not installed here: run "
            f"`lineside export {bundle.name}` on a machine that has it and copy the bundle again"
        )
    with cache.turn(folder):
        if (found := _kept(cache, folder, bundle, "float32")) is not None:
            return found
        _make(cache, folder, bundle, "float32", lambda place: _export(bundle, place, stopping))
        cache.use(folder)
        made = read_exported(folder, bundle, "float32")
    if made is None:
        raise ExportFailed(
            f"the export of {bundle.name}/{bundle.version} vanished from the cache {folder.parent.name}"
        )
    return made


def own_form(bundle: Bundle, form: Form, cache: FormCache) -> Exported | None:
    """The form that the bundle brings, as a copy of the server's own; None where it has none.

    OpenVINO goes on reading the file that it mapped. Another model that was copied over the bundle's would then answer
    under the old one's digest, unproved, and one that became shorter would end the server (SIGBUS).

    Raises:
        ExportFailed: damaged, not whole, or made of other weights or under another manifest.
    """
    found = bundle_form(bundle, form)
    if found is None:
        return None
    try:
        folder = cache.forms / f"{network_key(bundle)[:32]}-{found.sha256[:32]}"
        if (kept := _kept(cache, folder, bundle, form)) is not None:
            return kept
        _make(cache, folder, bundle, form, lambda place: _copy(found, place))
        cache.use(folder)
        return read_exported(folder, bundle, form) or found
    except ExportFailed as error:
        log.warning(
            "%s version %d is read from its own %s/ all the while, so nothing may be copied over it: %s",
            *(bundle.name, bundle.version, EXPORTED_FOLDER, error.message),
        )
        return found


def _copy(form: Exported, folder: Path) -> None:
    try:
        for suffix in (".xml", ".bin", ".json"):
            shutil.copyfile(form.graph.with_suffix(suffix), folder / f"{form.form}{suffix}")
    except OSError as error:
        raise ExportFailed(f"no copy of it can be kept in the cache: {error.strerror}") from error


def _name(bundle: Bundle) -> str:
    made_by = f"{__version__}-openvino{version('openvino')}"
    return f"{network_key(bundle)[:32]}-{made_by}"


def _make(cache: FormCache, folder: Path, bundle: Bundle, form: Form, fill: Callable[[Path], None]) -> None:
    """The folder with a form in it, all at once; `fill` is called with an empty one."""
    cache.clear_half_made()
    temporary = hidden_sibling(folder)
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise ExportFailed(
            f"the cache for converted networks cannot be written ({error.strerror}): set LINESIDE_CACHE_FOLDER to a folder "
            "that can"
        ) from error
    try:
        try:
            fill(temporary)
        except ExportFailed as error:
            raise ExportFailed(error.message + _for_want_of_room(temporary, bundle)) from error
        try:
            temporary.rename(folder)
        except OSError:
            # Another server was faster, and its form is as good; or what lies there is damaged.
            if _kept(cache, folder, bundle, form) is None:
                shutil.rmtree(folder, ignore_errors=True)
                try:
                    temporary.rename(folder)
                except OSError as error:
                    raise ExportFailed(
                        f"`{folder.name}` in the cache for converted networks is damaged and cannot be replaced "
                        f"({error.strerror}): remove it, or set LINESIDE_CACHE_FOLDER to a folder that is this user's"
                    ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _for_want_of_room(folder: Path, bundle: Bundle) -> str:
    """What OpenVINO does not say of a disk that is full."""
    try:
        free, needed = shutil.disk_usage(folder).free, bundle.weights_path.stat().st_size
    except OSError:
        return ""
    if free > needed:
        return ""
    return (
        f"; the disk of the cache for converted networks has {free / 1e6:.1f} MB left, and one of this size takes about "
        f"{needed / 1e6:.1f}: make room there, or set LINESIDE_CACHE_FOLDER to a folder on another one"
    )


def _kept(cache: FormCache, folder: Path, bundle: Bundle, form: Form) -> Exported | None:
    """The form in this folder of the cache; None also where somebody damaged it or clears it away, so that it is made again."""
    try:
        return read_exported(folder, bundle, form) if cache.use(folder) else None
    except ExportFailed:
        return None


def _export(bundle: Bundle, folder: Path, stopping: threading.Event) -> None:
    """In this process where torch is in it anyway, else in a child."""
    if "torch" in sys.modules:
        from app.exporting.export import export_bundle  # noqa: PLC0415

        export_bundle(bundle, folder)
        return
    log.info("converting %s version %d for OpenVINO; this happens once", bundle.name, bundle.version)
    command = [sys.executable, "-P", "-m", "app.exporting.child", str(bundle.folder.absolute()), str(folder)]
    with tempfile.TemporaryFile() as said:  # the cache may be full, and that has to be said
        code = _run(command, said, stopping)
        said.seek(0)
        text = said.read().decode("utf-8", "replace").strip()
    if code == 0:
        return
    if stopping.is_set() or (code in {-signal.SIGTERM, -signal.SIGINT} and stopping.wait(STOP_S)):
        raise ShuttingDown("the server shuts down before the network was converted")
    if code in {FAILED, REFUSED} and text:
        raise (ExportFailed if code == FAILED else BundleRefused)(text)
    how = f"its conversion for OpenVINO {_how_it_ended(code)}"
    if text:
        log.error("the conversion of %s version %d said: %s", bundle.name, bundle.version, text[-4000:])
        how += "; the log has the cause"
    raise ExportFailed(how)


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return f"took longer than {EXPORT_TIMEOUT_S:.0f} s"
    if code == -signal.SIGKILL:
        return "was killed: is there too little memory?"
    return f"ended unexpectedly (exit code {code})"


def _run(command: list[str], said: IO[bytes], stopping: threading.Event) -> int | None:
    """Exit code; None where it took too long, or the server stops meanwhile."""
    end = time.monotonic() + EXPORT_TIMEOUT_S
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said) as process:  # noqa: S603
        try:
            while time.monotonic() < end and not stopping.is_set():
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(POLL_S)
        finally:
            process.kill()  # also where this command is told to end, which would else wait for it; nothing where it has ended
    return None

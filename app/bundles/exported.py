"""A network in the form that OpenVINO runs, on disk: a graph, its numbers, and the facts that a server needs of it.

<folder>/float32.xml, .bin, .json -> read_exported -> Exported (checked against the bundle's weights and manifest)

Lies in a bundle under openvino/ (`lineside export`, `lineside quantize`), or in the server's cache. A form that was made
of other weights or under another manifest is never run. Knows neither torch nor OpenVINO.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.bundles.files import file_inside, is_inside, is_there, read_inside, why_not, write_atomically
from app.bundles.problems import in_one_message, readable_problems
from app.bundles.repository import Bundle
from app.domain import NetworkFacts
from app.errors import ExportFailed, ManifestInvalid

EXPORTED_FOLDER = "openvino"
FORM_VERSION = 1
"""Of the graphs that we make; raised, every cached one is made anew."""
MAX_FACTS_BYTES = 8 * 1024 * 1024
Form = Literal["float32", "int8"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

_FACTS = TypeAdapter(NetworkFacts)


@dataclass(frozen=True, slots=True)
class Exported:
    """One form of one network, its files checked."""

    graph: Path
    """The .xml; the .bin beside it holds the numbers."""
    form: Form
    facts: NetworkFacts
    sum_rule_error: float
    """Measured by torch when it was made."""
    sha256: str
    """Over graph and numbers."""
    made_with: Mapping[str, str]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    format: Literal[1]
    form: Form
    network_sha256: Sha256
    files_sha256: Sha256
    sum_rule_error: float
    made_with: dict[str, str]
    facts: dict[str, Any]


def network_key(bundle: Bundle) -> str:
    """SHA-256 over what the network computes: its weights, and what the manifest says of it (not of pictures or words)."""
    spec = json.dumps([type(bundle.network_spec.head).__name__, asdict(bundle.network_spec)], sort_keys=True)
    digest = hashlib.sha256(f"{FORM_VERSION}\n{spec}\n".encode())
    try:
        with bundle.weights_path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise ManifestInvalid(f"`{bundle.weights_path.name}` cannot be read: {why_not(error)}") from error
    return digest.hexdigest()


def bundle_form(bundle: Bundle, form: Form) -> Exported | None:
    """The form that the bundle itself brings; errors as `read_exported`, and a link that leaves the bundle is one."""
    own = bundle.folder / EXPORTED_FOLDER
    if not own.is_dir():
        return None
    if not is_inside(own, bundle.folder):
        raise ExportFailed(
            f"`{EXPORTED_FOLDER}` is a link that leaves the bundle's folder; copy it into the bundle"
        )
    return read_exported(own, bundle, form)


def read_exported(folder: Path, bundle: Bundle, form: Form) -> Exported | None:
    """The form in this folder; None where it has none.

    Raises:
        ExportFailed: damaged, not whole, or made of other weights or under another manifest.
    """
    try:
        return _read(folder, bundle, form) if is_there(folder / f"{form}.json") else None
    except ManifestInvalid as error:
        raise ExportFailed(f"`{folder.name}/{form}` is not whole: {error.message}; make it again") from error
    except OSError as error:
        raise ExportFailed(f"`{folder.name}/{form}` cannot be read: {why_not(error)}") from error


def _read(folder: Path, bundle: Bundle, form: Form) -> Exported:
    record = _record(read_inside(folder, f"{form}.json", max_bytes=MAX_FACTS_BYTES), form)
    if record.network_sha256 != network_key(bundle):
        raise ExportFailed(
            f"`{EXPORTED_FOLDER}/{form}.json` was made of other weights or under another manifest; "
            f"run `lineside {'quantize' if form == 'int8' else 'export'} {bundle.name}"
            f"{' --images FOLDER' if form == 'int8' else ''}` again"
        )
    graph = file_inside(folder, f"{form}.xml")
    if files_sha256(graph) != record.files_sha256:
        raise ExportFailed(f"`{EXPORTED_FOLDER}/{form}` is damaged: its SHA-256 differs; make it again")
    try:
        # Lax: JSON has lists where dataclasses have tuples.
        facts = _FACTS.validate_python(record.facts, strict=False)
    except ValidationError as error:
        raise ExportFailed(in_one_message(f"{form}.json", readable_problems(error, {}))) from error
    return Exported(graph, form, facts, record.sum_rule_error, record.files_sha256, record.made_with)


def write_exported(
    folder: Path,
    form: Form,
    bundle: Bundle,
    *,
    write_graph: Callable[[Path], None],
    facts: NetworkFacts,
    sum_rule_error: float,
    made_with: Mapping[str, str],
) -> None:
    """Writes the form into a folder of its own making; `write_graph` is called with the path of the .xml.

    The facts come last: a form without them is none.
    """
    graph = folder / f"{form}.xml"
    write_graph(graph)
    record = _Record(
        format=1,
        form=form,
        network_sha256=network_key(bundle),
        files_sha256=files_sha256(graph),
        sum_rule_error=sum_rule_error,
        made_with=dict(made_with),
        facts=asdict(facts),
    )
    write_atomically(folder / f"{form}.json", record.model_dump_json(indent=1).encode())


def files_sha256(graph: Path) -> str:
    """Over graph and numbers, each preceded by its length (8 bytes, big-endian)."""
    digest = hashlib.sha256()
    for path in (graph, file_inside(graph.parent, graph.with_suffix(".bin").name)):
        try:
            digest.update(path.stat().st_size.to_bytes(8, "big"))
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise ExportFailed(f"`{path.name}` cannot be read: {why_not(error)}") from error
    return digest.hexdigest()


def _record(data: bytes, form: Form) -> _Record:
    try:
        record = _Record.model_validate_json(data)
    except ValidationError as error:
        raise ExportFailed(in_one_message(f"{form}.json", readable_problems(error, {}))) from error
    if record.form != form:
        raise ExportFailed(f"`{form}.json` describes a form called {record.form}")
    return record

"""Which models there are, which of them may serve, and which one a request means.

The event loop owns it: wiring announces bundles and hands in deployments as they prove themselves; requests
look models up; readiness is read off it. Knows no HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from app.errors import InvalidRequest, NotReady, UnknownModel
from app.serving.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Model:
    """One version of one model, as the server sees it."""

    name: str
    version: int
    state: Literal["loading", "ready", "refused"]
    reason: str | None
    """Why it is refused."""
    deployment: Deployment | None

    def fault(self) -> str | None:
        """Why it may not serve just now; None when it may."""
        match self.state:
            case "loading":
                return "it is still loading"
            case "refused":
                return f"it was refused: {self.reason}"
            case "ready":
                assert self.deployment is not None  # noqa: S101 - set together with the state
                return self.deployment.fault()

    def outages(self) -> tuple[str, ...]:
        """What is out of service although it may serve."""
        return () if self.deployment is None else self.deployment.outages()


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server may drive the gate, and everything that is not as it should be."""

    is_ready: bool
    reasons: tuple[str, ...]
    """Why it may not; where it may all the same, models and devices that are out of service."""


class Catalogue:
    """All models of one server.

    Args:
        require: "all" bundles must be ready, or "any".
        default_model: the one that answers when a request names none; None: the only one there is.
        default_versions: by model; where none is given, the highest.
    """

    def __init__(
        self,
        *,
        require: Literal["all", "any"],
        default_model: str | None,
        default_versions: Mapping[str, int],
    ) -> None:
        self._require = require
        self._default_model = default_model
        self._default_versions = default_versions
        self._models: dict[tuple[str, int], Model] = {}
        self._found: dict[tuple[str | None, int | None], Model] = {}
        """What `find` found, until any model changes: it is asked twice for every request."""
        self._is_scanned = False
        self._is_draining = False
        self._fault: str | None = None
        self._unreadable: Mapping[str, str] = {}
        self.notes: tuple[str, ...] = ()
        """What the repository's scan found odd."""

    # --- filled by wiring ----------------------------------------------------------------------

    def announce(self, name: str, version: int) -> None:
        """A bundle was found and is being loaded."""
        self._set(Model(name, version, "loading", None, None))

    def scanned(
        self,
        notes: tuple[str, ...] = (),
        *,
        fault: str | None = None,
        unreadable: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Every bundle has been announced.

        Args:
            notes: what is odd.
            fault: why nothing of the repository could be listed.
            unreadable: models of which nobody knows what versions they have, by name: why.
        """
        self._is_scanned = True
        self._found.clear()
        self._fault = fault
        self._unreadable = unreadable
        self.notes = notes

    def serve(self, deployment: Deployment) -> None:
        """A model proved itself."""
        model = deployment.identity
        self._set(Model(model.name, model.version, "ready", None, deployment))

    def refuse(self, name: str, version: int, reason: str) -> None:
        """A bundle may not serve."""
        self._set(Model(name, version, "refused", reason, None))

    def begin_drain(self) -> None:
        """Not ready from now on; models still answer."""
        self._is_draining = True

    # --- read by requests ----------------------------------------------------------------------

    @property
    def is_draining(self) -> bool:
        """Whether the server is on its way down."""
        return self._is_draining

    def models(self) -> tuple[Model, ...]:
        """All of them, by name and version."""
        return tuple(self._models[key] for key in sorted(self._models))

    def deployments(self) -> tuple[Deployment, ...]:
        """Those that were loaded."""
        return tuple(model.deployment for model in self.models() if model.deployment is not None)

    def default_version(self, name: str) -> int:
        """The version that answers when a request names none.

        Raises:
            UnknownModel: no such model.
            NotReady: its versions could not be listed.
        """
        return self._default_versions.get(name, max(self._versions(name)))

    def find(self, name: str | None, version: int | None) -> Model:
        """The model that a request means, whatever its state.

        Raises:
            InvalidRequest: it names none and there are several.
            UnknownModel: with the names or versions that exist.
            NotReady: nothing is loaded yet, the repository is empty, or it or the model cannot be read.
        """
        asked = name, version
        if (found := self._found.get(asked)) is not None:
            return found
        if name is None:
            name = self._only_name()
        if version is None:
            version = self.default_version(name)
        model = self._models.get((name, version))
        if model is None:
            versions = ", ".join(map(str, sorted(self._versions(name))))
            raise UnknownModel(f"{name} has no version {version}; it has {versions}")
        self._found[asked] = model
        return model

    def find_ready(self, name: str | None, version: int | None) -> Deployment:
        """The deployment that a request means; errors as `find`, and NotReady with the model's fault."""
        model = self.find(name, version)
        fault = model.fault()
        if fault is not None or model.deployment is None:
            retry_after_s = 2.0 if model.state == "loading" else 30.0
            raise NotReady(
                f"{model.name} version {model.version} cannot answer: {fault}", retry_after_s=retry_after_s
            )
        return model.deployment

    def readiness(self) -> Readiness:
        """Whether the server may drive the gate. Load does not change it."""
        if self._is_draining:
            return Readiness(is_ready=False, reasons=("the server is shutting down",))
        if not self._is_scanned:
            return Readiness(is_ready=False, reasons=(BEING_READ,))
        if not self._models and not self._unreadable:
            return Readiness(is_ready=False, reasons=(self._fault or EMPTY,))
        faults = [
            f"{model.name} version {model.version}: {fault}"
            for model in self.models()
            if (fault := model.fault()) is not None
        ]
        outages = [
            f"{model.name} version {model.version}: {outage}"
            for model in self.models()
            for outage in model.outages()
        ]
        unreadable = tuple(self._unreadable.values())
        enough = len(faults) < len(self._models) if self._require == "any" else not (faults or unreadable)
        wrong_defaults = self._wrong_defaults()
        return Readiness(
            is_ready=enough and not wrong_defaults,
            reasons=(*wrong_defaults, *unreadable, *faults, *outages),
        )

    def _set(self, model: Model) -> None:
        self._models[model.name, model.version] = model
        self._found.clear()

    def _wrong_defaults(self) -> list[str]:
        wrong = [
            f"LINESIDE_DEFAULT_VERSIONS names version {version} of {name}, which {self._why_absent(name)}"
            for name, version in self._default_versions.items()
            if (name, version) not in self._models
        ]
        if self._default_model is not None and not any(n == self._default_model for n, _ in self._models):
            why = self._why_absent(self._default_model)
            wrong.append(f"LINESIDE_DEFAULT_MODEL names {self._default_model}, which {why}")
        return wrong

    def _why_absent(self, name: str) -> str:
        return "cannot be read" if name in self._unreadable else "is not in the repository"

    def _only_name(self) -> str:
        if self._default_model is not None:
            return self._default_model
        names = self._names()
        if not names:
            raise NotReady((self._fault or EMPTY) if self._is_scanned else BEING_READ)
        if len(names) > 1:
            raise InvalidRequest(
                f"several models are served: say model= one of {', '.join(names)}, or set LINESIDE_DEFAULT_MODEL"
            )
        return names[0]

    def _versions(self, name: str) -> list[int]:
        versions = [version for known, version in self._models if known == name]
        if not versions:
            if not self._is_scanned:
                raise NotReady(BEING_READ)
            if why := self._unreadable.get(name) or self._fault:
                raise NotReady(why, retry_after_s=30.0)
            names = self._names()
            there = f"there are {', '.join(names)}" if names else "there are none"
            raise UnknownModel(f"no model {name!r}; {there}")
        return versions

    def _names(self) -> list[str]:
        """Also of those that cannot be read: another model must not answer in their place."""
        return sorted({name for name, _ in self._models} | set(self._unreadable))


BEING_READ = "the model repository is being read"
EMPTY = (
    "the model repository holds no bundle: put one at <name>/1/ in it (docs/bundles.md says how), "
    "or point LINESIDE_MODEL_REPOSITORY at a folder that has one"
)

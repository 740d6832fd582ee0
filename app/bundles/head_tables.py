"""[head] of model.toml as types.

a table of TOML -> one of these, or pydantic's ValidationError -> spec() for the networks
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Strict, Tag

from app.bundles.tables import Dropout, Table, Width
from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    FlattenHead,
    HeadSpec,
    LinearHead,
    MlpHead,
    OwnHead,
)


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("must be odd")
    return number


class LinearHeadTable(Table):
    """Average pooling and one linear layer."""

    kind: Literal["linear"] = "linear"
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return LinearHead()


class MlpHeadTable(Table):
    """Average pooling and linear layers with ReLU between."""

    kind: Literal["mlp"] = "mlp"
    hidden: Annotated[tuple[Width, ...], Strict(False), Field(min_length=1, max_length=8)]
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return MlpHead(hidden=self.hidden)


class ConvCamHeadTable(Table):
    """Convolution and ReLU, average pooling, one linear layer."""

    kind: Literal["conv_cam"] = "conv_cam"
    kernel_size: Annotated[int, Strict(), Field(ge=1, le=31), AfterValidator(_odd)] = 3
    channels: Width | None = None

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return ConvCamHead(kernel_size=self.kernel_size, channels=self.channels)


class FlattenHeadTable(Table):
    """Average pooling to a grid, every cell kept apart, and linear layers with ReLU between."""

    kind: Literal["flatten_mlp"] = "flatten_mlp"
    cells: Annotated[int, Strict(), Field(ge=1, le=32)]
    hidden: Annotated[tuple[Width, ...], Strict(False), Field(max_length=8)] = ()
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return FlattenHead(cells=self.cells, hidden=self.hidden)


class ConcatPoolHeadTable(Table):
    """Maximum and average pooling side by side, and linear layers with ReLU between."""

    kind: Literal["concat_pool_mlp"] = "concat_pool_mlp"
    hidden: Annotated[tuple[Width, ...], Strict(False), Field(max_length=8)] = ()
    dropout: Dropout | None = None
    """What training used; changes nothing when serving."""

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return ConcatPoolHead(hidden=self.hidden)


class OwnHeadTable(Table):
    """The architecture's own last layers, as its library builds them for this many classes."""

    kind: Literal["own"] = "own"

    def spec(self) -> HeadSpec:
        """As the networks know it."""
        return OwnHead()


HEAD_TABLES: dict[str, type[Table]] = {
    "linear": LinearHeadTable,
    "mlp": MlpHeadTable,
    "conv_cam": ConvCamHeadTable,
    "flatten_mlp": FlattenHeadTable,
    "concat_pool_mlp": ConcatPoolHeadTable,
    "own": OwnHeadTable,
}


def _head_tag(head: object) -> str:
    if not isinstance(head, Mapping | Table):
        return "head:linear"  # whose message says that a table is needed
    kind = head.get("kind", "linear") if isinstance(head, Mapping) else getattr(head, "kind", "linear")
    return f"head:{kind}" if isinstance(kind, str) and kind in HEAD_TABLES else "head:"


HeadTable = Annotated[
    Annotated[LinearHeadTable, Tag("head:linear")]
    | Annotated[MlpHeadTable, Tag("head:mlp")]
    | Annotated[ConvCamHeadTable, Tag("head:conv_cam")]
    | Annotated[FlattenHeadTable, Tag("head:flatten_mlp")]
    | Annotated[ConcatPoolHeadTable, Tag("head:concat_pool_mlp")]
    | Annotated[OwnHeadTable, Tag("head:own")],
    Discriminator(_head_tag, custom_error_type="unknown_kind", custom_error_message="unknown kind"),
]

"""What a manifest says of a head -> the head, with fresh weights."""

from app.domain import (
    ConcatPoolHead,
    ConvCamHead,
    FlattenHead,
    HeadSpec,
    LinearHead,
    MlpHead,
    OwnHead,
)
from app.errors import ManifestInvalid
from app.nets.architecture import Architecture
from app.nets.heads import AverageLinear, ConvCam, Head
from app.nets.mlp_heads import AverageMlp, ConcatPoolMlp, FlattenMlp


def head_of(architecture: Architecture, head: HeadSpec, class_count: int) -> Head:
    """A head with fresh weights for this architecture; raises ManifestInvalid for sizes that none can have."""
    if isinstance(head, OwnHead) and architecture.own_head is not None and class_count > 0:
        return architecture.own_head.build(class_count)
    return build_head(head, channels=architecture.feature_channels, class_count=class_count)


def build_head(spec: HeadSpec, *, channels: int, class_count: int) -> Head:
    """A head with fresh weights for features of this many channels.

    An own head is average pooling and one linear layer here; what else it may be, its architecture knows.

    Raises:
        ManifestInvalid: sizes that no head can have.
    """
    if class_count < 1:
        raise ManifestInvalid(f"a head needs at least one class, not {class_count}")
    match spec:
        case LinearHead() | OwnHead():
            return AverageLinear(channels, class_count)
        case MlpHead(hidden=hidden):
            if not hidden or min(hidden) < 1:
                raise ManifestInvalid(
                    f"an mlp head needs its hidden widths, each at least 1, not {list(hidden)}; "
                    'a head without hidden layers is kind = "linear"'
                )
            return AverageMlp(channels, class_count, hidden=hidden)
        case FlattenHead(cells=cells, hidden=hidden):
            if cells < 1 or min(hidden, default=1) < 1:
                raise ManifestInvalid("a flatten_mlp head needs cells and hidden widths of at least 1")
            return FlattenMlp(channels, class_count, cells=cells, hidden=hidden)
        case ConcatPoolHead(hidden=hidden):
            if min(hidden, default=1) < 1:
                raise ManifestInvalid(
                    f"a concat_pool_mlp head needs hidden widths of at least 1, not {list(hidden)}"
                )
            return ConcatPoolMlp(channels, class_count, hidden=hidden)
        case ConvCamHead(kernel_size=kernel_size, channels=conv_channels):
            if kernel_size < 1 or (conv_channels is not None and conv_channels < 1):
                raise ManifestInvalid("a conv_cam head needs kernel_size and channels of at least 1")
            return ConvCam(
                channels,
                class_count,
                kernel_size=kernel_size,
                conv_channels=class_count if conv_channels is None else conv_channels,
            )

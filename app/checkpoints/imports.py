"""Which names a weight file may hold, although none of them is ever looked up.

The reader runs nothing, so this is no wall but a sieve: a file that names `os.system` is an attack, and one
that names a class of the training script holds a forward pass that nobody here has seen.
"""

import re
from collections.abc import Iterable
from typing import Final

from app.checkpoints.pickled import Name

RESAVE: Final = 'torch.save(model.state_dict(), "weights.pth")'

_KNOWN: Final = re.compile(
    r"""
    collections\.(OrderedDict|defaultdict|Counter|deque)
    | torch\.(\w+Storage|Size|device|dtype|Tensor|u?int\d+|b?float\d+|half|double|bool|storage\.\w+Storage)
    | torch\._utils\._rebuild_(tensor|tensor_v2|parameter|parameter_with_state)
    | torch\.serialization\._get_layout
    | torch\.jit\._pickle\.\w+
    | torch\.nn\.(modules|parameter|parallel)\.[\w.]+
    | torch\.nn\.functional\.relu
    | torch\.optim\.[\w.]+
    | torch\._dynamo\.eval_frame\.OptimizedModule
    | torchvision\.(models|ops|transforms)\.[\w.]+
    | (__torch__)\.[\w.]+
    | argparse\.Namespace | types\.SimpleNamespace | functools\.partial | datetime\.\w+
    | pathlib\.(_local\.)?\w*Path
    | (numpy|numpy\.core\.multiarray|numpy\._core\.multiarray|numpy\.core\.numeric|numpy\.dtypes)\.\w+
    | _codecs\.encode | copy_?reg\._reconstructor
    | (builtins|__builtin__)\.(set|frozenset|object|dict|list|tuple|int|float|str|bool|complex|slice|bytearray)
    | (pytorch_lightning|lightning|lightning_fabric|torchmetrics|omegaconf|fastai|fastcore|typing)\.[\w.]+
    | mmengine\.logging\.history_buffer\.HistoryBuffer
    """,
    re.VERBOSE | re.ASCII,
)


_MENDED: Final = (
    (
        r"quanti[sz]|_rebuild_qtensor|\bqint|ScriptObject",
        "it is quantised: import the network as it was before that",
    ),
    (
        r"_rebuild_sparse",
        'it has sparse tensors; save them dense: torch.save({k: v.to_dense() for k, v in model.state_dict().items()}, "weights.pth")',
    ),
    (
        r"torch\.float8|_rebuild_tensor_v3",
        "its numbers are of a kind that is not read; save float32: torch.save({k: v.float() for k, v in model.state_dict().items()}, "
        '"weights.pth")',
    ),
)
"""State dicts already, so that saving the state dict would mend nothing."""


def unknown_imports(names: Iterable[Name]) -> list[str]:
    """Those that no training dictionary or torchvision module needs, sorted."""
    return sorted(str(name) for name in names if not _KNOWN.fullmatch(str(name)))


def refusal(file: str, unknown: list[str]) -> str:
    """Why a file with these names is refused, and the line that mends it."""
    shown = ", ".join(ascii(name)[1:-1][:80] for name in unknown[:5])
    for pattern, mend in _MENDED:
        if any(re.search(pattern, name) for name in unknown):
            return f"{file}: it names {ascii(unknown[0])[1:-1][:80]}; {mend}"
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    return (
        f"{file}: it names {shown}{more}, which is neither numbers nor a network of torchvision. Nothing of it "
        f"was run. Where it was made, and where you trust it, save the weights alone: {RESAVE}"
    )

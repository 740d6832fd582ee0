"""What came of one image in the queue, as the service knows it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain import Probed
from app.serving.batches import Result
from app.serving.line import Answer


@dataclass(frozen=True, slots=True)
class Inference:
    """What the engine said of one image."""

    logits: NDArray[np.float32]
    """(K,)"""
    evidence: NDArray[np.float32]
    """(K, h', w') in logit units; h' = w' = 0 where the head gives none."""
    batch_size: int
    queue_s: float
    inference_s: float
    probed: Probed | None = None


def inference_of(answer: Answer[Result]) -> Inference:
    """What the network said, and how it came about."""
    result = answer.result
    return Inference(
        result.logits, result.evidence, answer.batch_size, answer.queue_s, answer.run_s, result.probed
    )

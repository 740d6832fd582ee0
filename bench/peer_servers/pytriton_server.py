"""PyTriton: a real Triton Inference Server with its dynamic batcher, and the network in a Python process."""

import os

import numpy as np
from network import CLASSES, classify, load, tensor_of
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

model = load()


@batch
def infer(image: np.ndarray) -> dict[str, np.ndarray]:
    """(B, 1) bytes -> (B, K) probabilities."""
    answers = classify(model, [tensor_of(data) for data in image[:, 0]])
    return {"probabilities": np.array([[answer[name] for name in CLASSES] for answer in answers], np.float32)}


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    config = TritonConfig(http_address="127.0.0.1", http_port=port, allow_grpc=False, allow_metrics=False)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="classifier",
            infer_func=infer,
            inputs=[Tensor(name="image", dtype=np.bytes_, shape=(1,))],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(len(CLASSES),))],
            config=ModelConfig(max_batch_size=16, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.serve()

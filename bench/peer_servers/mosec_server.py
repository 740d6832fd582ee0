"""mosec: a decoding stage and a batching inference stage, as in its ResNet-50 example."""

import numpy as np
import torch
from mosec import Server, Worker
from mosec.mixin import MsgpackMixin
from network import classify, load, tensor_of


class Preprocess(MsgpackMixin, Worker):
    """One picture at a time, in a process of its own, on one thread."""

    def __init__(self) -> None:
        super().__init__()
        torch.set_num_threads(1)

    def forward(self, data: dict[str, bytes]) -> np.ndarray:
        return tensor_of(data["image"]).numpy()


class Inference(Worker):
    """Batches of what the first stage made."""

    def __init__(self) -> None:
        super().__init__()
        self.model = load()

    def forward(self, data: list[np.ndarray]) -> list[dict[str, float]]:
        return classify(self.model, [torch.from_numpy(picture) for picture in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(Preprocess, num=1)
    server.append_worker(Inference, num=1, max_batch_size=16, max_wait_time=10)
    server.run()

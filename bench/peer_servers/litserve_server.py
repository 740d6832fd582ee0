"""LitServe: decode_request, batch, predict, unbatch; dynamic batching on."""

import os

import litserve
import torch
from fastapi import Request
from network import CLASSES, load, tensor_of


class Classifier(litserve.LitAPI):
    """As lightning.ai/docs/litserve writes an image classifier, with a file part instead of base64."""

    def setup(self, device: str) -> None:
        self.model = load().to(device)

    def decode_request(self, request: Request) -> torch.Tensor:
        return tensor_of(request["file"].file.read())

    def batch(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(inputs)

    @torch.inference_mode()
    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.model(batch), dim=1)

    def unbatch(self, output: torch.Tensor) -> list[torch.Tensor]:
        return list(output)

    def encode_response(self, output: torch.Tensor) -> dict[str, float]:
        return dict(zip(CLASSES, output.tolist(), strict=True))


if __name__ == "__main__":
    api = Classifier(max_batch_size=16, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="cpu", timeout=60)
    server.run(
        host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning"
    )

"""Ray Serve: @serve.batch behind one replica."""

import os
import signal
import tempfile

import ray
from network import classify, load, tensor_of
from ray import serve
from starlette.requests import Request

CORES = os.cpu_count() or 1


# Ray gives OpenMP as many threads as an actor has CPUs, hence all of them; proxy and controller ask for none.
@serve.deployment(ray_actor_options={"num_cpus": CORES}, max_ongoing_requests=256)
class Classifier:
    """Dynamic request batching, as docs.ray.io describes it."""

    def __init__(self) -> None:
        self.model = load()

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.01)
    async def infer(self, pictures: list[bytes]) -> list[dict[str, float]]:
        return classify(self.model, [tensor_of(data) for data in pictures])

    async def __call__(self, request: Request) -> dict[str, float]:
        return await self.infer(await request.body())


if __name__ == "__main__":
    ray.init(
        num_cpus=CORES,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=f"{tempfile.gettempdir()}/ray",
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Classifier.bind(), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()

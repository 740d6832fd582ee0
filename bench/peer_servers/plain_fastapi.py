"""FastAPI as its tutorial uploads a file; no batching.

Decoding runs in FastAPI's thread pool, as every blocking path operation; the forward passes take turns, because
each of forty threads would bring OpenMP threads of its own.
"""

import os
import threading

import uvicorn
from fastapi import FastAPI, UploadFile
from network import classify, load, tensor_of

app = FastAPI()
model = load()
turn = threading.Lock()


@app.post("/predict")
def predict(file: UploadFile) -> dict[str, float]:
    """One picture."""
    tensor = tensor_of(file.file.read())
    with turn:
        return classify(model, [tensor])[0]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")

"""FastAPI as its tutorial uploads a file; no batching."""

import os

import uvicorn
from fastapi import FastAPI, UploadFile
from network import classify, load, tensor_of

app = FastAPI()
model = load()


@app.post("/predict")
def predict(file: UploadFile) -> dict[str, float]:
    """In FastAPI's thread pool, as every blocking path operation."""
    return classify(model, [tensor_of(file.file.read())])[0]


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")

"""What the Keras reader found, as every reader says it.

KerasFound -> Found; the names of classes and the resizing of pictures stay questions, since no Keras file has them. What
else it does not say of pictures no option answers but `--preprocess`, so it is said beside that question and kept.
"""

from pathlib import Path

from app.checkpoints.found import Answers, Found, Note
from app.checkpoints.keras import read_keras
from app.errors import WeightsRefused


def read_keras_checkpoint(path: Path, answers: Answers) -> Found:
    """A Keras `.h5`, `.weights.h5` or `.keras` file.

    Raises:
        WeightsRefused: as `read_keras`, or the owner named another architecture.
    """
    keras = read_keras(path)
    if answers.architecture not in {None, keras.architecture}:
        raise WeightsRefused(
            f"--architecture {answers.architecture}: the file holds {keras.architecture}, whose strides are Keras' own"
        )
    details = {"Keras": keras.keras_version or "version unknown", "pixels": keras.preprocessing.scheme}
    if keras.input_size is not None:
        details["input"] = f"{keras.input_size.height} x {keras.input_size.width}"
    return Found(
        format=keras.form,
        origin="Keras",
        tensors=keras.tensors,
        architectures=(keras.architecture,),
        head=keras.head,
        class_count=keras.class_count,
        normalisation=keras.preprocessing.normalisation,
        input_size=keras.input_size,
        details=details,
        notes=(
            *(Note("folded", text) for text in keras.notes),
            *(Note("warning", text) for text in (*keras.warnings, *keras.questions)),
        ),
    )

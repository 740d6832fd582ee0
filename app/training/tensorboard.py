"""Event files for TensorBoard, where somebody asks for them (`pip install lineside[tensorboard]`)."""

from pathlib import Path

from app.errors import TrainingRefused
from app.training.watch import Watcher
from app.training.work import Epoch


class TensorBoard(Watcher):
    """Writes the columns of history.csv, one point an epoch; raises TrainingRefused without the extra."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra, and slow to import
        except ImportError as error:
            raise TrainingRefused(
                "--tensorboard needs one more package: pip install lineside[tensorboard]"
            ) from error
        self._writer = SummaryWriter(str(folder))

    def ended(self, epoch: Epoch) -> None:
        """At once on the disk, so that a killed training shows what it did."""
        for name, value in (
            ("loss/training", epoch.training_loss),
            ("loss/validation", epoch.validation_loss),
            ("accuracy/validation", epoch.validation_accuracy),
            ("macro_f1/validation", epoch.validation_macro_f1),
            ("learning_rate", epoch.learning_rate),
        ):
            self._writer.add_scalar(name, value, epoch.number)
        self._writer.flush()

    def close(self) -> None:
        """Ends its thread."""
        self._writer.close()

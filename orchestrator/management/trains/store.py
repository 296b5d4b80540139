"""Where train lines and trains are kept: in the register, trains in the order of their departures."""

from orchestrator.domain.moments import moment_text
from orchestrator.domain.register import ENDED, OPEN, RecordKind
from orchestrator.management.trains.model import Train, TrainLine

TRAIN_LINES = RecordKind(
    "train_lines",
    TrainLine,
    key=lambda line: line.name,
    part=lambda line: ENDED if line.is_archived else OPEN,
    noun="train-line",
)
TRAINS = RecordKind(
    "trains",
    Train,
    key=lambda train: train.id,
    part=lambda train: ENDED if train.has_ended else OPEN,
    position=lambda train: f"{moment_text(train.departs_at)}.{train.number:08}",
    noun="train",
    about=lambda train: train.line,
)

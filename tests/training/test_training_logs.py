"""Tables of a run: what is kept of them when it is resumed, and losses that are looked at late."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("tensorboard")

from vitruvian.training.logs import Logs, UnreadLosses, read_table

RATES = {"learning_rate": 0.5, "samples_per_second": 30.0, "waiting_for_data": 0.0}


def test_a_resumed_run_removes_what_it_will_do_again(tmp_path: Path) -> None:
    logs = Logs(tmp_path, step=0, steps=15, steps_per_epoch=5)
    for step in (2, 4, 6):
        logs.losses(step, {"regression": step / 10}, 2, RATES)
    logs.close()
    with (tmp_path / "losses.csv").open("a") as file:
        file.write("8,1.6,0.")  # a kill in the midst of a row
    logs = Logs(tmp_path, step=4, steps=15, steps_per_epoch=5)
    logs.losses(7, {"regression": 0.75}, 3, RATES)
    logs.close()
    rows = [(row["step"], row["epoch"], row["regression"]) for row in read_table(tmp_path / "losses.csv")]
    assert rows == [("2", "0.4", "0.2"), ("4", "0.8", "0.4"), ("7", "1.4", "0.75")]


def test_the_end_of_an_epoch_tells_its_mean(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    logs = Logs(tmp_path, step=0, steps=15, steps_per_epoch=5)
    logs.losses(2, {"regression": 1.0, "heatmap": 8.0}, 2, RATES)
    logs.losses(5, {"regression": 2.0, "heatmap": 3.0}, 3, RATES)
    logs.end_epoch(5)
    logs.scores(1, {"AP": 0.25})
    logs.scores(2, {"AP": 0.5, "new": 7.0})
    logs.close()
    assert capsys.readouterr().out == "epoch 1/3: regression 1.6, heatmap 5\n"
    assert logs.scored() == [{"epoch": "1", "AP": "0.25"}, {"epoch": "2", "AP": "0.5"}]


def test_losses_are_read_at_once_and_the_first_bad_one_is_named() -> None:
    unread = UnreadLosses()
    unread.add(6, {"regression": torch.tensor(1.0), "heatmap": torch.tensor(2.0)}, (31, 32))
    unread.add(7, {"regression": torch.tensor(3.0), "heatmap": torch.tensor(7.0)}, (33, 34))
    assert len(unread) == 2
    assert unread.read() == {"regression": 2.0, "heatmap": 4.5}
    assert len(unread) == 0
    unread.add(8, {"regression": torch.tensor(1.0), "heatmap": torch.tensor(2.0)}, (35, 36))
    unread.add(9, {"regression": torch.tensor(1.0), "heatmap": torch.tensor(float("inf"))}, (37, "b"))
    unread.add(10, {"regression": torch.tensor(float("nan")), "heatmap": torch.tensor(2.0)}, (38, 39))
    with pytest.raises(ValueError, match="loss 'heatmap' is inf at step 9, images 37, b"):
        unread.read()

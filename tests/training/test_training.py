"""Training runs that are killed, resumed, stopped and refused, on a network and data of this file's own."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_run import Dropout, KillAt, LimitStates, make_data, small_experiment, start

from vitruvian import checkpoints
from vitruvian.data.loading import PersonCrops
from vitruvian.data.reading import read_labels
from vitruvian.errors import InputError
from vitruvian.experiment import Dataset, Experiment
from vitruvian.methods.sar.method import SAR
from vitruvian.training import find_device, train
from vitruvian.training.logs import read_table
from vitruvian.training.state import find_state, load_state, save_state, scored

CHECKPOINTS = "best.safetensors", "last.safetensors"
KILLS_SEED = 84
"""Of the shares of a run's time after which it is killed; another number tries other moments."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing disturbed; the seconds that it took are the last word of its log."""
    output = tmp_path_factory.mktemp("whole") / "run"
    finish(small_experiment(data), output)  # the first process waits for the imports
    seconds = finish(small_experiment(data), output.with_name("again"))
    assert_same(output.with_name("again"), output)
    output.with_name("seconds").write_text(str(seconds))
    return output


def finish(experiment: Experiment, output: Path, resume: bool = False, **options) -> float:
    """Runs to the end in another process; the seconds that it took."""
    began = time.monotonic()
    process = start(experiment, output, resume, **options)
    process.join()
    assert process.exitcode == 0, Path(f"{output}.log").read_text()
    return time.monotonic() - began


def tensors_of(output: Path) -> dict[str, list]:
    return {name: tensor.tolist() for name, tensor in load_file(output / "last.safetensors").items()}


def assert_same(output: Path, whole: Path) -> None:
    for name in CHECKPOINTS:
        assert (output / name).read_bytes() == (whole / name).read_bytes(), name
    assert (output / "scores.csv").read_text() == (whole / "scores.csv").read_text()
    steps = [int(row["step"]) for row in read_table(output / "losses.csv")]
    assert steps == sorted(set(steps))
    assert steps[-1] == 8
    assert not list(output.glob(".*")), "something half written was left"


def test_a_run_leaves_checkpoints_tables_and_pictures(whole: Path) -> None:
    state, experiment = checkpoints.load(whole / "best.safetensors")
    assert experiment["name"] == "sar"
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert [row["epoch"] for row in read_table(whole / "scores.csv")] == ["1", "2"]
    rates = [float(row["learning_rate"]) for row in read_table(whole / "losses.csv")]
    assert rates[-1] == pytest.approx(0.001)
    assert len(list((whole / "pictures").iterdir())) == 3  # one of them before the first step
    assert list((whole / "tensorboard").iterdir())
    assert load_state(whole / "state.pt")["step"] == 8


def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    experiment, output = small_experiment(data), tmp_path / "run"
    seconds = float(whole.with_name("seconds").read_text())
    generator = random.Random(KILLS_SEED)
    for _ in range(4):
        moment = generator.uniform(0, seconds)
        process = start(experiment, output, resume=output.exists())
        time.sleep(moment)
        process.kill()
        process.join()
        step = load_state(output / "state.pt")["step"] if (output / "state.pt").exists() else "none"
        print(f"killed after {moment:.3f} s of {seconds:.3f}: the last state is of step {step}")  # shown on failure
    finish(experiment, output, resume=output.exists())
    assert_same(output, whole)


def test_a_run_killed_at_the_worst_moments_ends_with_the_same_bytes(data: Path, whole: Path, tmp_path: Path) -> None:
    experiment, output = small_experiment(data), tmp_path / "run"
    moments = [  # one after the other in the same run; each process counts its calls anew
        KillAt("torch", "save", 1, "before"),  # no state was written yet
        KillAt("torch", "save", 1, "midst"),
        KillAt("torch", "save", 3, "midst"),  # the state before is that of step 1
        KillAt("vitruvian.checkpoints", "save_file", 1, "midst"),  # the last weights of epoch 1
        KillAt("vitruvian.checkpoints", "save", 1, "after"),  # and before their state
        KillAt("vitruvian.training.loop", "save_state", 1, "after"),
        KillAt("vitruvian.training.validation", "score", 1, "before"),
        KillAt("vitruvian.checkpoints", "save", 1, "after"),  # the best weights, before their row in the table
        KillAt("vitruvian.training.logs", "write_table", 2, "after"),  # that row
    ]
    for moment in moments:
        process = start(experiment, output, resume=output.exists(), prepare=moment)
        process.join()
        assert process.exitcode == -signal.SIGKILL, Path(f"{output}.log").read_text()
    finish(experiment, output, resume=True)
    assert_same(output, whole)


def test_an_accumulating_fp16_run_with_dropout_resumes_within_an_epoch(data: Path, tmp_path: Path) -> None:
    options = {"accumulate": 2, "precision": "fp16", "clip_norm": 1.0, "optimizer": "adamw", "weight_decay": 0.1}
    experiment = small_experiment(data, batch_size=5, **options)  # four steps, and four people left over
    finish(experiment, tmp_path / "whole", prepare=Dropout())
    kill = KillAt("vitruvian.training.loop", "save_state", 3, "before")
    process = start(experiment, tmp_path / "run", prepare=Dropout(kill))
    process.join()
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 2
    finish(experiment, tmp_path / "run", resume=True, prepare=Dropout())
    assert_same(tmp_path / "run", tmp_path / "whole")
    finish(experiment, tmp_path / "without")
    assert tensors_of(tmp_path / "without") != tensors_of(tmp_path / "whole")


def test_a_run_on_synthetic_people_resumes_with_the_same_people(data: Path, tmp_path: Path) -> None:
    base = small_experiment(data, epochs=1, batch_size=2)
    experiment = replace(base, dataset=Dataset(path="synthetic", limit=8))
    finish(replace(experiment, training=replace(experiment.training, workers=2)), tmp_path / "whole")
    process = start(experiment, tmp_path / "run", prepare=KillAt("vitruvian.training.loop", "save_state", 3, "before"))
    process.join()
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 1  # of four
    finish(experiment, tmp_path / "run", resume=True)
    assert tensors_of(tmp_path / "run") == tensors_of(tmp_path / "whole")


def test_workers_change_nothing(data: Path, whole: Path, tmp_path: Path) -> None:
    finish(small_experiment(data, workers=2), tmp_path / "run")
    assert tensors_of(tmp_path / "run") == tensors_of(whole)


def test_two_processes_do_what_one_does_that_accumulates(data: Path, tmp_path: Path) -> None:
    options = {"batch_size": 4, "ema": 0.0, "milestones": (), "optimizer": "sgd"}
    finish(small_experiment(data, accumulate=2, **options), tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    common |= {"TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
    experiment = small_experiment(data, **options)
    processes = [
        start(experiment, tmp_path / "two", environment={**common, "RANK": rank, "LOCAL_RANK": rank}) for rank in "01"
    ]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    one, two = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    for name in one:
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(two[name], one[name], rtol=1e-4, atol=1e-6, msg=name)
    with pytest.raises(InputError, match="2 processes, found 1; resume with as many"):
        train(experiment, tmp_path / "two", resume=True, device="cpu")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_step_and_says_how_to_go_on(data: Path, tmp_path: Path, number: signal.Signals) -> None:
    experiment, output = small_experiment(data, save_every=0, epochs=300, workers=1), tmp_path / "run"
    process = start(experiment, output, prepare=os.setsid)
    while len(read_table(output / "losses.csv")) < 1:
        assert process.is_alive()
        time.sleep(0.01)
    assert process.pid is not None
    os.killpg(process.pid, number)  # workers too, as a terminal and a cluster do
    process.join()
    said = Path(f"{output}.log").read_text()
    assert process.exitcode == 2, said
    step = load_state(output / "state.pt")["step"]
    assert f"stopped after step {step} of 1200; the same command with --resume goes on from there" in said


def test_a_full_disk_leaves_the_state_before(data: Path, whole: Path, tmp_path: Path) -> None:
    experiment, output = small_experiment(data), tmp_path / "run"
    room = (whole / "state.pt").stat().st_size * 2 // 3  # enough for the first state, which has no moments of Adam's
    process = start(experiment, output, prepare=LimitStates(room))
    process.join()
    assert process.exitcode == 2
    said = Path(f"{output}.log").read_text()
    assert "state.pt: cannot be written" in said
    assert "free some space" in said
    assert load_state(output / "state.pt")["step"] == 0
    finish(experiment, output, resume=True)
    assert_same(output, whole)


def test_a_loss_that_is_not_a_number_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, calls = SAR.loss, [0]

    def loss(self, maps, targets):
        calls[0] += 1
        losses = plain(self, maps, targets)
        return losses if calls[0] < 3 else {**losses, "heatmap": losses["heatmap"] * float("nan")}

    monkeypatch.setattr(SAR, "loss", loss)
    pattern = r"loss 'heatmap' is nan at step 2, images \d+, .*state.pt holds the last good state"
    with pytest.raises(InputError, match=pattern):
        train(small_experiment(data), tmp_path / "run", device="cpu")
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 2


def test_a_broken_photo_is_named_also_out_of_a_worker(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", people=8)
    (tmp_path / "data" / "3.jpg").write_bytes(b"no photo")
    experiment = small_experiment(data, val=False, workers=1, batch_size=4)
    process = start(experiment, tmp_path / "run")
    process.join()
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert lines[-1].startswith(str(tmp_path / "data" / "3.jpg"))


def test_what_may_not_change_is_refused(data: Path, whole: Path, tmp_path: Path) -> None:
    experiment = small_experiment(data)
    with pytest.raises(InputError, match=r"holds a run already .state.pt.: add --resume to go on"):
        train(experiment, whole, device="cpu")
    other = replace(experiment, training=replace(experiment.training, learning_rate=0.5))
    with pytest.raises(InputError, match=r"has training.learning_rate = 0.01, found 0.5; .*training.epochs, .* may"):
        train(other, whole, resume=True, device="cpu")
    with pytest.raises(InputError, match="there is no run to resume"):
        train(experiment, tmp_path / "none", resume=True, device="cpu")
    fewer = replace(experiment, dataset=replace(experiment.dataset, path=str(make_data(tmp_path / "few", 12))))
    with pytest.raises(
        InputError, match=r"few/people\.json are not those that the run was started with; put them back"
    ):
        train(fewer, whole, resume=True, device="cpu")
    gone = replace(experiment, dataset=replace(experiment.dataset, path=str(tmp_path / "gone.json")))
    with pytest.raises(InputError, match=r"gone\.json: cannot be read \(No such file or directory\); correct dataset"):
        train(gone, whole, resume=True, device="cpu")


def test_moved_annotations_are_known_by_their_content(data: Path, whole: Path, tmp_path: Path) -> None:
    experiment, moved = small_experiment(data), make_data(tmp_path / "moved")
    there = replace(experiment, dataset=replace(experiment.dataset, path=str(moved)))
    state = find_state(whole, there)
    assert state is not None
    assert state["step"] == 8
    moved.write_text(moved.read_text() + "\n")
    with pytest.raises(InputError, match=r"moved/people\.json are not those that the run was started with"):
        find_state(whole, there)
    del state["annotations"]  # as earlier versions left it: the path alone says whether it is the same file
    (tmp_path / "old").mkdir()
    save_state(tmp_path / "old" / "state.pt", state)
    with pytest.raises(InputError, match=r"the run has dataset\.path = "):
        find_state(tmp_path / "old", there)
    assert find_state(tmp_path / "old", experiment) is not None


def test_a_run_without_a_first_step_does_not_block_its_folder(data: Path, whole: Path, tmp_path: Path) -> None:
    wrong = small_experiment(data, metric="PCKh@0.5")
    with pytest.raises(InputError, match=r"training.metric is 'PCKh@0.5', but scoring on .* gives "):
        train(wrong, tmp_path / "run", device="cpu")
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 0
    assert find_state(tmp_path / "run", wrong) is None
    finish(small_experiment(data), tmp_path / "run")
    assert_same(tmp_path / "run", whole)


def test_without_scores_the_last_weights_are_kept(data: Path, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    for epochs in (1, 2):
        finish(small_experiment(data, val=False, epochs=epochs), output, resume=epochs > 1)
        assert not scored(output)
        assert (output / "best.safetensors").read_bytes() == (output / "last.safetensors").read_bytes()
    assert tensors_of(output) == tensors_of(whole)
    assert scored(whole)


def test_a_finished_run_can_be_made_longer(data: Path, whole: Path, tmp_path: Path) -> None:
    finish(small_experiment(data, epochs=1), tmp_path / "run")
    finish(small_experiment(data, epochs=1), tmp_path / "run", resume=True)  # nothing to do
    finish(small_experiment(data, epochs=2), tmp_path / "run", resume=True)
    assert tensors_of(tmp_path / "run") == tensors_of(whole)


def test_data_that_nobody_can_learn_from_is_refused(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", people=4)
    content = json.loads(data.read_text())
    with pytest.raises(InputError, match=r"4 people do not fill one step of 1 x training.batch_size 6; lower it"):
        train(small_experiment(data), tmp_path / "run", device="cpu")
    content["annotations"] = []
    data.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"people.json: nobody in it has a labelled joint and a box"):
        train(small_experiment(data), tmp_path / "run", device="cpu")


def test_a_start_that_does_not_fit_is_refused(data: Path, whole: Path, tmp_path: Path) -> None:
    state, experiment = checkpoints.load(whole / "last.safetensors")
    state["head.logit_conv.bias"] = torch.zeros(17)
    checkpoints.save(tmp_path / "other.safetensors", state, experiment)
    with pytest.raises(InputError, match=r"of another shape \(head.logit_conv.bias is float32 \(17,\)"):
        train(small_experiment(data, start_from=str(tmp_path / "other.safetensors")), tmp_path / "run", device="cpu")


def test_a_run_starts_from_a_checkpoint(data: Path, whole: Path, tmp_path: Path) -> None:
    options = {"learning_rate": 1e-30, "epochs": 1, "ema": 0.0}
    finish(small_experiment(data, False, start_from=str(whole / "last.safetensors"), **options), tmp_path / "run")
    before, after = (load_file(folder / "last.safetensors") for folder in (whole, tmp_path / "run"))
    assert all(torch.equal(after[name], before[name]) for name in before if name.endswith("conv1.weight"))
    assert (tmp_path / "run" / "best.safetensors").read_bytes() == (tmp_path / "run" / "last.safetensors").read_bytes()


def test_a_network_of_which_nothing_learns_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitruvian.training.build", lambda experiment: torch.nn.Linear(2, 3).requires_grad_(False))
    with pytest.raises(InputError, match="has no parameter that learns"):
        train(small_experiment(data), tmp_path / "run", device="cpu")


def test_without_lightning_the_remedy_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "vitruvian.training.loop", raising=False)
    monkeypatch.setitem(sys.modules, "lightning", None)
    with pytest.raises(InputError, match=r"training needs lightning: pip install 'vitruvian\[train\]'"):
        train(small_experiment(data), tmp_path / "run", device="cpu")


def test_devices_are_checked() -> None:
    assert find_device("cpu", 2) == "cpu"
    with pytest.raises(InputError, match="device 'tpu' is unknown; available: auto, cpu"):
        find_device("tpu", 1)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="device 'cuda:1' is not there; available: auto, cpu"):
            find_device("cuda:1", 1)


def test_samples_depend_on_seed_epoch_and_index_alone(data: Path) -> None:
    experiment = small_experiment(data)
    labels = read_labels(data)
    crops = PersonCrops(labels, experiment.method.framing, experiment.augmentation, experiment.seed)
    later, first = crops[2, 7], crops[1, 7]
    again = PersonCrops(labels, experiment.method.framing, experiment.augmentation, experiment.seed)[2, 7]
    assert (later.image == again.image).all()
    assert (later.image != first.image).any()

"""MATLAB files: the readers of LSP, its extension and COFW, both versions of the format, and each complaint."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from vitruvian.data import lsp
from vitruvian.data.cofw import write_photos
from vitruvian.data.faces import square_of
from vitruvian.data.reading import read_labels, read_skeleton
from vitruvian.errors import InputError
from vitruvian.images import read_image
from vitruvian.skeletons import COFW, LSP

PEOPLE = 3


def joints() -> tuple[np.ndarray, np.ndarray]:
    """Points (3, 14, 2) px and flags (3, 14), a third of them 1."""
    rng = np.random.default_rng(0)
    return rng.uniform(5, 95, (PEOPLE, 14, 2)), np.arange(PEOPLE * 14).reshape(PEOPLE, 14) % 3 == 0


def write_hdf5(path: Path, **arrays: np.ndarray) -> Path:
    """A file of version 7.3, whose axes stand the other way round, behind MATLAB's own 512 bytes."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = array.T
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def test_lsp_marks_hidden_joints(tmp_path: Path) -> None:
    points, hidden = joints()
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.concatenate([points, hidden[..., None]], -1).transpose(2, 1, 0)})
    labels = read_labels(path)
    assert labels.skeleton is LSP is read_skeleton(path)
    assert [photo.path for photo in labels.photos] == [tmp_path / "images" / f"im000{i}.jpg" for i in (1, 2, 3)]
    for photo, truth, flags in zip(labels.photos, points, hidden):
        np.testing.assert_allclose(photo.people.keypoints[0], truth, rtol=1e-6)
        assert photo.people.visibility[0].tolist() == np.where(flags, 1, 2).tolist()
        low, high = truth.min(0), truth.max(0)
        margin = 0.1 * (high - low).max()
        np.testing.assert_allclose(photo.people.boxes[0], [*(low - margin), *(high + margin)], rtol=1e-5)


def test_the_halves_of_lsp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsp, "TRAINED", 2)
    points, flags = joints()
    numbers, path = np.concatenate([points, flags[..., None]], -1), tmp_path / "joints.mat"
    savemat(path, {"joints": numbers.transpose(2, 1, 0)})
    names = {half: [photo.path.name for photo in read_labels(path, split=half).photos] for half in ("train", "test")}
    assert names == {"train": ["im0001.jpg", "im0002.jpg"], "test": ["im0003.jpg"]}
    savemat(path, {"joints": numbers.transpose(1, 2, 0)})
    with pytest.raises(InputError, match="the extension of LSP is a training set alone; leave out the split 'test'"):
        read_labels(path, split="test")
    savemat(path, {"phisTr": np.zeros((2, 87)), "bboxesTr": np.zeros((2, 4))})
    with pytest.raises(
        InputError, match="a file of COFW is one split; leave out the split 'val', or give another file"
    ):
        read_labels(path, split="val")


def test_its_extension_marks_labelled_joints(tmp_path: Path) -> None:
    points, known = joints()
    points[~known] = -500  # anything may stand there
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.concatenate([points, known[..., None]], -1).transpose(1, 2, 0)})
    labels = read_labels(path, tmp_path)
    assert [photo.path for photo in labels.photos] == [tmp_path / f"im0000{i}.jpg" for i in (1, 2, 3)]
    people = labels.photos[1].people
    assert people.visibility[0].tolist() == np.where(known[1], 2, 0).tolist()
    assert np.isnan(people.keypoints[0][~known[1]]).all()
    assert people.boxes.min() > -100


def test_people_without_joints_are_named(tmp_path: Path) -> None:
    points, known = joints()
    path = tmp_path / "joints.mat"
    known[1, 3:] = False
    savemat(path, {"joints": np.concatenate([points, known[..., None]], -1).transpose(1, 2, 0)})
    with pytest.raises(InputError, match=r"joints.mat: person 2 has 1 labelled joints, expected 2 or more"):
        read_labels(path)


@pytest.mark.parametrize("kind", ["old", "new"])
def test_wrong_files_are_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "joints.mat"

    def save(**arrays: np.ndarray) -> None:
        path.unlink(missing_ok=True)
        savemat(path, arrays) if kind == "old" else write_hdf5(path, **arrays)

    save(joints=np.zeros((3, 16, 5)))
    with pytest.raises(InputError, match=r"joints.mat: 'joints' is 3 x 16 x 5 of type float64, expected 3 x 14 x N"):
        read_labels(path)
    save(other=np.zeros((2, 3)))
    with pytest.raises(InputError, match=r"has neither the array 'joints' \(LSP\) nor 'phisTr' or .*, but other; give"):
        read_labels(path)
    save(headboxes_src=np.zeros((2, 2, 3)))
    with pytest.raises(InputError, match=r"MPII's labels are read from its JSON form \(train.json, valid.json\)"):
        read_labels(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"joints.mat: cannot be read as a MATLAB file"):
        read_labels(path)
    path.unlink()
    with pytest.raises(InputError, match=r"joints.mat: no such file; expected a MATLAB file"):
        read_labels(path)


def test_objects_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.array([[1, "two"]], object)})
    with pytest.raises(InputError, match=r"'joints' is 1 x 2 of type object, expected 3 x 14 x N numbers"):
        read_labels(path)


@pytest.mark.parametrize("module", ["scipy.io", "h5py"])
def test_without_the_library_the_remedy_is_named(tmp_path: Path, monkeypatch, module: str) -> None:
    path = tmp_path / "joints.mat"
    savemat(path, {"joints": np.zeros(2)}) if module == "scipy.io" else write_hdf5(path, joints=np.zeros(2))
    monkeypatch.setitem(sys.modules, module, None)
    name = module.partition(".")[0]
    with pytest.raises(InputError, match=rf"joints.mat: reading it needs {name}: pip install 'vitruvian\[mat\]'"):
        read_labels(path)


def cofw(path: Path, key: str = "phisT", photos: str = "IsT") -> tuple[np.ndarray, np.ndarray]:
    """Writes a file of two faces, and gives points (2, 29, 2) and hidden (2, 29)."""
    rng = np.random.default_rng(1)
    points, hidden = rng.uniform(5, 60, (2, 29, 2)), rng.random((2, 29)) < 0.3
    rows = np.concatenate([points[..., 0], points[..., 1], hidden], 1)
    write_hdf5(path, **{key: rows, "bboxesT": np.ones((2, 4))})
    with h5py.File(path, "r+") as file:
        stored = file.create_group("#refs#")
        stored["a"] = np.arange(3 * 7 * 5, dtype=np.uint8).reshape(3, 7, 5)  # colours, x, y
        stored["b"] = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4)
        cells = file.create_dataset(photos, (1, 2), h5py.ref_dtype)
        cells[0, 0], cells[0, 1] = stored["a"].ref, stored["b"].ref
    return points, hidden


def test_cofw(tmp_path: Path) -> None:
    path = tmp_path / "COFW_test_color.mat"
    points, hidden = cofw(path)
    labels = read_labels(path)
    assert labels.skeleton is COFW is read_skeleton(path)
    assert [photo.path for photo in labels.photos] == [tmp_path / "COFW_test_color" / f"000{i}.png" for i in (1, 2)]
    for photo, truth, flags in zip(labels.photos, points, hidden):
        np.testing.assert_allclose(photo.people.keypoints[0], truth, rtol=1e-6)
        assert photo.people.visibility[0].tolist() == np.where(flags, 1, 2).tolist()
        np.testing.assert_allclose(photo.people.boxes[0], square_of(truth))


def test_the_photos_of_cofw_are_written_once(tmp_path: Path) -> None:
    path = tmp_path / "COFW_train_color.mat"
    cofw(path, "phisTr", "IsTr")
    folder = tmp_path / "COFW_train_color"
    assert write_photos(path, folder) == 2
    photos = [photo.path for photo in read_labels(path).photos]
    assert np.array_equal(read_image(photos[0]), np.arange(105, dtype=np.uint8).reshape(3, 7, 5).T)
    grey = np.arange(24, dtype=np.uint8).reshape(6, 4).T
    assert np.array_equal(read_image(photos[1]), np.stack([grey] * 3, -1))
    with pytest.raises(InputError, match=r"a.mat: has neither 'IsTr' nor 'IsT', the photos of COFW"):
        write_photos(write_hdf5(tmp_path / "a.mat", phisT=np.zeros((2, 87))), folder)

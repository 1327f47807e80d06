"""Files of other programs are read whatever their name, and what cannot be read is said in one line."""

import collections
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

from vitruvian.checkpoints.foreign import read_foreign
from vitruvian.checkpoints.pickles import Placeholder
from vitruvian.errors import InputError


def tensors():
    base = torch.arange(24, dtype=torch.float32)
    return {
        "whole": base,
        "view": base[5:17].view(3, 4),
        "transposed": torch.arange(6).reshape(2, 3).t(),
        "empty": torch.zeros(0, 5),
        "scalar": torch.tensor(7.5, dtype=torch.float64),
        "half": torch.ones(2, 3, dtype=torch.bfloat16),
        "mask": torch.tensor([True, False]),
        "unsigned": torch.tensor([3, 65535], dtype=torch.uint16),
        "eighth": torch.ones(3).to(torch.float8_e4m3fn),
        "expanded": torch.ones(2, 1).expand(2, 3),
        "complex": torch.tensor([1 + 2j]),
    }


def assert_same(result, expected):
    assert list(result) == list(expected)
    for name, tensor in expected.items():
        assert result[name].dtype == tensor.dtype, name
        assert result[name].shape == tensor.shape, name
        assert result[name].tolist() == tensor.tolist(), name


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_torch_files(tmp_path, zipped):
    path = tmp_path / "a.pkl"
    torch.save(tensors(), path, _use_new_zipfile_serialization=zipped)
    result = read_foreign(path)
    assert_same(result, tensors())
    assert result["view"].data_ptr() == result["whole"].data_ptr() + 5 * 4  # shared as in the file


def test_tensors_in_a_plain_pickle(tmp_path):
    expected = {name: tensor for name, tensor in tensors().items() if name not in ("unsigned", "eighth")}
    for protocol in (2, 4):
        (tmp_path / "a.pth").write_bytes(pickle.dumps(expected, protocol))
        assert_same(read_foreign(tmp_path / "a.pth"), expected)


def test_tensors_with_attributes_and_sparse_ones(tmp_path):
    marked = torch.ones(2, 3)
    marked.note = "mine"
    torch.save({"marked": marked, "sparse": torch.eye(3).to_sparse(), "b": torch.ones(2)}, tmp_path / "a.pth")
    result = read_foreign(tmp_path / "a.pth")
    assert torch.equal(result["marked"], torch.ones(2, 3))
    assert isinstance(result["sparse"], Placeholder)
    assert torch.equal(result["b"], torch.ones(2))


def test_a_whole_network(tmp_path):
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth")
    result = read_foreign(tmp_path / "a.pth")
    assert result.name == "torch.nn.modules.linear.Linear"
    assert result.state["_parameters"]["weight"].shape == (3, 2)


def test_numpy_files(tmp_path):
    fortran = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    objects = np.array([{"a": np.ones(2)}, None], dtype=object)
    np.save(tmp_path / "a.npy", fortran)
    assert read_foreign(tmp_path / "a.npy").tolist() == fortran.tolist()
    np.savez_compressed(tmp_path / "a.npz", fortran=fortran, objects=objects, empty=np.zeros((0, 3)))
    result = read_foreign(tmp_path / "a.npz")
    assert list(result) == ["fortran", "objects", "empty"]
    assert result["fortran"].tolist() == fortran.tolist()
    assert result["objects"][0]["a"].tolist() == [1, 1]
    assert result["empty"].shape == (0, 3)


def test_safetensors_files(tmp_path):
    expected = {"a": torch.arange(6.0).reshape(2, 3)}
    safetensors.torch.save_file(expected, tmp_path / "a.bin")
    assert_same(read_foreign(tmp_path / "a.bin"), expected)


PAGES = {
    "empty": (b"", r"is empty: download or copy it again"),
    "page": (b"\n<!DOCTYPE html>\n<html>Quota exceeded", r"is a web page, as a failed download leaves it: download"),
    "xml": (b"<?xml version='1.0'?><Error>AccessDenied", r"is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", r"Git LFS pointer.*run `git lfs pull`"),
    "text": (b"404: Not\nFound", r"is a text, not a checkpoint \(it begins with '404: Not Found'\): download"),
    "json": (b'{"message": "Bad credentials"}', r"is a text, not a checkpoint \(it begins with '{\"message\""),
    "utf8": ("Zugriff für Gäste gesperrt".encode(), r"is a text, not a checkpoint \(it begins with 'Zugriff für"),
    "noise": (bytes(range(200, 256)), r"not a checkpoint that can be read \(it begins with the bytes c8 c9"),
    "gzip": (b"\x1f\x8b\x08\x00rest", r"is compressed with gzip: unpack it first"),
    "hdf5": (b"\x89HDF\r\n\x1a\nrest", r"is an HDF5 file: only PyTorch, pickle, NumPy and safetensors"),
    "tar": (b"storages".ljust(257, b"\0") + b"ustar  rest", r"is a tar archive: unpack it"),
    "header": (struct.pack("<Q", 10**9) + b'{"a":', r"a safetensors file that is damaged or cut short"),
    "nothing": (b"\x80\x04", r"a pickle file that is damaged or cut short"),
}


@pytest.mark.parametrize(("content", "message"), PAGES.values(), ids=PAGES.keys())
def test_what_is_no_checkpoint(tmp_path, content, message):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_foreign(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"missing.pth: there is no such file"):
        read_foreign(tmp_path / "missing.pth")
    with pytest.raises(InputError, match=r"is a folder, not a file"):
        read_foreign(tmp_path)


WRITERS = {
    "zip": lambda path: torch.save(tensors(), path),
    "legacy": lambda path: torch.save(tensors(), path, _use_new_zipfile_serialization=False),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a": np.ones(70), "b": [1, 2]})),
    "npy": lambda path: path.write_bytes(_npy(np.ones((7, 5)))),
    "safetensors": lambda path: safetensors.torch.save_file({"a": torch.ones(7, 5)}, path),
}


def _npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_a_file_that_was_cut_short_anywhere(tmp_path, write):
    path = tmp_path / "a.pth"
    write(path)
    whole = path.read_bytes()
    for size in [*range(9, len(whole), 41), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"damaged or cut short|is a text|begins with the bytes") as caught:
            read_foreign(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_a_file_with_wrong_bytes_is_read_or_refused(tmp_path, write):
    path = tmp_path / "a.pth"
    write(path)
    whole = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(150):
        changed = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_foreign(path)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017 (either is right)


def test_a_zip_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("hrnet/readme.txt", "x")
        archive.writestr("hrnet/a.pth", "x")
    with pytest.raises(InputError, match=r"without the data.pkl .*it holds hrnet/readme.txt, hrnet/a.pth\): unpack"):
        read_foreign(tmp_path / "a.zip")


def test_a_program_is_refused(tmp_path):
    for name in ("a/data.pkl", "a/constants.pkl"):
        with zipfile.ZipFile(tmp_path / "a.pt", "a") as archive:
            archive.writestr(name, pickle.dumps({}))
    with pytest.raises(InputError, match=r"is a TorchScript program: save its state_dict\(\)"):
        read_foreign(tmp_path / "a.pt")


def test_a_small_archive_of_a_huge_one(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        archive.writestr("a/data/0", b"\0" * 10_000)
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02")
    path.write_bytes(content[: at + 24] + struct.pack("<I", 2**32 - 2) + content[at + 28 :])
    with pytest.raises(InputError, match=r"would unpack from \d+ to 42949\d+ bytes: not a checkpoint"):
        read_foreign(path)


def _huge_storage(count):
    """A legacy stream with one tensor of `count` elements and none of its bytes."""
    torch_parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    stream = b"".join(pickle.dumps(part, 2) for part in torch_parts)
    stream += b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
    return stream + b"\x8a\x08" + struct.pack("<q", count) + b"NtQ." + pickle.dumps(["0"], 2)


@pytest.mark.parametrize("count", [10**9, 10**15])
def test_a_storage_that_the_file_does_not_have(tmp_path, count):
    (tmp_path / "a.pth").write_bytes(_huge_storage(count))
    with pytest.raises(InputError, match=rf"a storage of {4 * count} bytes, more than there are"):
        read_foreign(tmp_path / "a.pth")


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((2, 13), (13, 1), 0), ((2, 3), (3, 1), 19), ((24,), (2,), 0), ((2**62, 4), (0, 0), 0), ((-1, 3), (3, 1), 0)],
)
def test_a_tensor_beyond_its_storage(tmp_path, size, stride, offset):
    class Beyond:
        def __reduce__(self):
            storage = torch.arange(24.0).storage()
            args = (storage, offset, size, stride, False, collections.OrderedDict())
            return torch._utils._rebuild_tensor_v2, args

    for zipped in (True, False):
        torch.save({"a": Beyond()}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        with pytest.raises(InputError, match=r"damaged or cut short \(a tensor of size"):
            read_foreign(tmp_path / "a.pth")

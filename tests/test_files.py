"""Files are written whole or not at all."""

import errno
import os
import resource
import stat

import pytest

from vitruvian.errors import InputError
from vitruvian.files import check_place, make_folder, write_atomically


def test_the_file_replaces_the_old_one_and_nothing_else_stays(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("old")
    seen = []

    def write(temporary):
        seen.append(temporary)
        assert path.read_text() == "old"
        temporary.write_text("new")

    write_atomically(path, write)
    assert path.read_text() == "new"
    assert seen[0].parent == tmp_path
    assert seen[0].suffix == ".json"
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_writer_that_makes_its_own_private_file_does_not_hide_the_result(tmp_path):
    def write(temporary):
        private = temporary.with_suffix(".private")
        private.touch(mode=0o600)
        os.replace(private, temporary)

    umask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a.json", write)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_a_link_goes_on_pointing_to_the_file(tmp_path):
    (tmp_path / "big").mkdir()
    (tmp_path / "link.json").symlink_to(tmp_path / "big" / "there.json")
    write_atomically(tmp_path / "link.json", lambda temporary: temporary.write_text("new"))
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "big" / "there.json").read_text() == "new"


def test_a_device_is_written_to_and_stays_a_device():
    write_atomically("/dev/null", lambda path: path.write_text("gone"))
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_full_disk_keeps_the_old_file_and_says_so(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("old")

    def write(temporary):
        temporary.write_text("half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InputError, match=r"results.json: cannot be written \(No space left on device\); free some"):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]


def test_a_disk_that_is_full_at_the_last_moment(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_atomically(tmp_path / "a.json", lambda temporary: temporary.write_text("all of it"))
    assert os.listdir(tmp_path) == []


def test_a_limit_of_the_system_on_file_sizes(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(InputError, match="File too large"):
            write_atomically(tmp_path / "a.json", lambda temporary: temporary.write_text("x" * 70_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError("no JSON")])
def test_other_failures_pass_through_and_leave_nothing(tmp_path, error):
    def write(temporary):
        temporary.write_text("half of it")
        raise error

    with pytest.raises((KeyboardInterrupt, TypeError)):
        write_atomically(tmp_path / "a.json", write)
    assert os.listdir(tmp_path) == []


def test_names_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r"there is no folder .*missing; make it or choose another"):
        write_atomically(tmp_path / "missing" / "a.json", lambda temporary: temporary.write_text("x"))
    with pytest.raises(InputError, match=r"is a folder: give the name of the file to write"):
        write_atomically(tmp_path, lambda temporary: temporary.write_text("x"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)"):
        write_atomically(tmp_path / "file" / "a.json", lambda temporary: temporary.write_text("x"))


def test_errors_about_other_files_keep_their_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"other\.json"):
        write_atomically(tmp_path / "a.json", lambda temporary: (tmp_path / "other.json").read_text())
    assert os.listdir(tmp_path) == []


def test_places_are_checked_before_there_is_anything_to_write(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    check_place(path)
    check_place(tmp_path / "new.json")
    check_place("/dev/null")
    assert os.listdir(tmp_path) == ["a.json"]
    assert path.read_text() == "old"
    with pytest.raises(InputError, match=r"there is no folder .*missing; make it or choose another"):
        check_place(tmp_path / "missing" / "a.json")
    with pytest.raises(InputError, match=r"is a folder: give the name of the file to write"):
        check_place(tmp_path)


def test_a_place_that_is_forbidden(tmp_path, monkeypatch):
    def forbidden(path, **_options):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("pathlib.Path.touch", forbidden)
    with pytest.raises(InputError, match=r"a\.json: cannot be written \(Permission denied\)"):
        check_place(tmp_path / "a.json")


def test_folders_are_made_or_it_is_said_why_not(tmp_path):
    assert make_folder(tmp_path / "deep" / "down") == tmp_path / "deep" / "down"
    assert make_folder(str(tmp_path / "deep")).is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/x: no folder can be made there \(Not a directory\); choose another"):
        make_folder(tmp_path / "file" / "x")

import os

import pytest

from mep.machine.files import link_or_copy, read_json, write_atomically, write_json


def test_a_failed_write_leaves_the_old_content(tmp_path):
    path = tmp_path / "numbers.json"
    write_json(path, [1])

    def half(file):
        file.write(b"[2")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    assert read_json(path) == [1]


def test_an_immutable_file_gets_a_second_place_without_a_copy_of_its_bytes(tmp_path):
    (tmp_path / "a").write_text("weights")
    link_or_copy(tmp_path / "a", tmp_path / "deep" / "b")
    assert os.path.samefile(tmp_path / "a", tmp_path / "deep" / "b")
    link_or_copy(tmp_path / "a", tmp_path / "deep" / "b")  # again, after an interruption
    assert (tmp_path / "deep" / "b").read_text() == "weights"

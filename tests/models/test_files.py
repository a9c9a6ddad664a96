from __future__ import annotations

import hashlib
from pathlib import Path

from harness.models.files import file_digest, files_digest, pickled_weights, weight_files


def test_a_digest_is_sha256_of_the_content(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert file_digest(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    large = b"0123456789abcdef" * (300 * 1024)  # more than one block
    file.write_bytes(large)
    assert file_digest(file) == hashlib.sha256(large).hexdigest()


def test_names_contents_and_gaps_are_in_the_digest_of_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    without = files_digest([one, two])
    two.write_text("")
    empty = files_digest([one, two])
    two.write_text("2")
    assert len({without, empty, files_digest([one, two]), files_digest([two, one]), files_digest([one])}) == 5


def test_the_folder_is_not_in_the_digest(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text("same")
    first, second = (files_digest([tmp_path / name / "model.safetensors"]) for name in ("a", "b"))
    assert first == second


def test_pickled_weights_count_only_where_asked_and_where_nothing_else_is(tmp_path: Path) -> None:
    for name in ("pytorch_model-2.bin", "pytorch_model-1.bin", "training_args.bin", "optimizer.bin"):
        (tmp_path / name).touch()
    assert weight_files(tmp_path) == []
    assert [path.name for path in pickled_weights(tmp_path)] == ["pytorch_model-1.bin", "pytorch_model-2.bin"]
    assert weight_files(tmp_path, pickled=True) == pickled_weights(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert weight_files(tmp_path, pickled=True) == [tmp_path / "model.safetensors"]

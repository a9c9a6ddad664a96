"""From what a user types to folders; nothing here reaches a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from safetensors.torch import load_file

from harness.checkpoints import resolve as module
from harness.checkpoints.aliases import HUBS, WHEELS, alias_names
from harness.checkpoints.resolve import Resolved, resolve
from harness.exceptions import InputError, UnknownName


def copy(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def pickle_weights(folder: Path, name: str = "pytorch_model.bin") -> None:
    import torch

    [file] = folder.glob("*.safetensors")
    torch.save(load_file(file), folder / name)
    file.unlink()


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def sentence(name: str | Path, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        resolve(str(name), **settings)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_folder_is_itself(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(str(tiny_folder)) == Resolved(tiny_folder, None)
    monkeypatch.chdir(tiny_folder.parent)
    assert resolve(tiny_folder.name).folder == tiny_folder
    assert resolve(f"./{tiny_folder.name}").folder == tiny_folder


def test_an_alias_is_its_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(module, "wheel_model", lambda alias, _progress: asked.append(alias) or tmp_path)
    assert resolve("smollm2-135m-q4") == Resolved(tmp_path)
    assert asked == [WHEELS[0]]


def test_aliases_differ_and_point_at_pinned_files() -> None:
    assert len(set(alias_names())) == len(alias_names()) == len(WHEELS) + len(HUBS)
    for wheel in WHEELS:
        assert "==" in wheel.requirement
        assert {len(wheel.wheel_sha256), len(wheel.member_sha256)} == {64}


def test_an_unknown_alias_names_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        resolve("smollm-135m-q4")
    assert str(caught.value) == (
        "Unknown model 'smollm-135m-q4'. Did you mean 'smollm2-135m-q4'? Allowed: smollm2-135m, smollm2-135m-q4."
    )


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "a/b/c", "gone.gguf"])
def test_a_path_that_is_not_there(name: str) -> None:
    assert sentence(name) == f"{Path(name).expanduser()}: there is no such model file or folder."


def test_a_hub_id_that_is_not_on_this_disk_while_offline() -> None:
    assert sentence("someone/some-model") == (
        "The model 'someone/some-model' could not be fetched from the hub: it is not on this disk, "
        "and HF_HUB_OFFLINE is set."
    )
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in sentence("smollm2-135m")


def test_a_hub_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_settings: Any) -> str:
        raise OSError("503 Service Unavailable\n\nlong story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    assert sentence("a/b") == "The model 'a/b' could not be fetched from the hub: 503 Service Unavailable."


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """Fakes the hub: ids to folders; files a request does not ask for are not there."""

    def serve(**repositories: Path) -> list[list[str]]:
        asked: list[list[str]] = []

        def download(hub_id: str, allow_patterns: list[str]) -> str:
            asked.append(allow_patterns)
            source = repositories[hub_id.split("/")[1]]
            target = source.parent / f"{source.name}-snapshot"
            for pattern in allow_patterns:
                for file in source.glob(pattern):
                    target.mkdir(exist_ok=True)
                    shutil.copy(file, target)
            return str(target)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
        return asked

    return serve


def test_a_hub_model_is_a_folder(
    tiny_folder: Path, tmp_path: Path, hub: Callable[..., list[list[str]]]
) -> None:
    asked = hub(model=copy(tiny_folder, tmp_path / "model"))
    found = resolve("some/model")
    assert found == Resolved(tmp_path / "model-snapshot")
    assert {file.name for file in found.folder.iterdir()} == {file.name for file in tiny_folder.iterdir()}
    assert not any("bin" in pattern for pattern in asked[0])


def test_a_hub_adapter_finds_its_base_on_the_hub(
    tiny_folder: Path, tiny_adapter: Path, tmp_path: Path, hub: Callable[..., list[list[str]]]
) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    change(adapter / "adapter_config.json", base_model_name_or_path="some/model")
    hub(model=copy(tiny_folder, tmp_path / "model"), adapter=adapter)
    assert resolve("some/adapter") == Resolved(tmp_path / "model-snapshot", tmp_path / "adapter-snapshot")


def test_pickles_are_fetched_only_where_allowed_and_needed(
    tiny_folder: Path, tmp_path: Path, hub: Callable[..., list[list[str]]]
) -> None:
    pickled = copy(tiny_folder, tmp_path / "pickled")
    pickle_weights(pickled)
    asked = hub(pickled=pickled, safe=copy(tiny_folder, tmp_path / "safe"))
    assert "this folder holds no weights" in sentence("some/pickled")
    assert (resolve("some/pickled", allow_pickle=True).folder / "pytorch_model.bin").is_file()
    asked.clear()
    resolve("some/safe", allow_pickle=True)
    assert not any("bin" in pattern for patterns in asked for pattern in patterns)


@pytest.mark.parametrize(
    ("files", "holds"),
    [((), "nothing"), (("b.txt", "a.txt"), "a.txt, b.txt"), ("gfedcba", "a, b, c, d, e")],
)
def test_a_folder_that_is_no_model(tmp_path: Path, files: tuple[str, ...], holds: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in files:
        (folder / name).touch()
    assert sentence(folder) == (
        f"{folder}: this folder holds no model: config.json is missing (it holds {holds})."
    )


def test_a_folder_without_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "training_args.bin").touch()
    expected = f"{tmp_path}: this folder holds no weights: no *.safetensors file was found."
    assert sentence(tmp_path) == sentence(tmp_path, allow_pickle=True) == expected


def test_pickled_weights_are_refused_unless_allowed(tiny_folder: Path, tmp_path: Path) -> None:
    folder = copy(tiny_folder, tmp_path / "pickled")
    pickle_weights(folder)
    assert sentence(folder) == (
        f"{folder}: the weights are pickled (pytorch_model.bin); "
        "only safetensors are read unless --allow-pickle is given."
    )
    assert resolve(str(folder), allow_pickle=True) == Resolved(folder)


def test_an_adapter_brings_its_base(tiny_folder: Path, tiny_adapter: Path) -> None:
    assert resolve(str(tiny_adapter)) == Resolved(tiny_folder, tiny_adapter)


def test_a_pickled_adapter_is_refused_unless_allowed(
    tiny_folder: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    pickle_weights(adapter, "adapter_model.bin")
    assert "the weights are pickled (adapter_model.bin)" in sentence(adapter)
    assert resolve(str(adapter), allow_pickle=True) == Resolved(tiny_folder, adapter)


def test_an_adapter_whose_base_is_gone(tiny_adapter: Path, tmp_path: Path) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    settings = adapter / "adapter_config.json"
    change(settings, base_model_name_or_path="/gone/base")
    assert sentence(adapter) == (
        f"{settings}: the base model it names cannot be used: /gone/base: there is no such model file or folder."
    )


@pytest.mark.parametrize("base", [None, "", 7])
def test_an_adapter_that_names_no_base(tiny_adapter: Path, tmp_path: Path, base: object) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    settings = adapter / "adapter_config.json"
    change(settings, base_model_name_or_path=base)
    assert sentence(adapter) == (
        f"{settings}: it does not name the adapter's base model (base_model_name_or_path)."
    )


@pytest.mark.parametrize("content", ["{", "[]", "\ufeff"])
def test_adapter_settings_that_are_no_object(tiny_adapter: Path, tmp_path: Path, content: str) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    (adapter / "adapter_config.json").write_text(content)
    assert sentence(adapter) == f"{adapter / 'adapter_config.json'}: this is not a JSON object."


def test_an_adapter_without_weights(tiny_adapter: Path, tmp_path: Path) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").unlink()
    assert "holds no weights" in sentence(adapter)


def test_an_adapter_on_an_adapter_is_refused(tiny_adapter: Path, tmp_path: Path) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    settings = adapter / "adapter_config.json"
    for base in (str(tiny_adapter), str(adapter)):  # itself too: no endless search
        change(settings, base_model_name_or_path=base)
        assert sentence(adapter) == f"{settings}: the base model it names, {base!r}, is an adapter itself."


def test_virtual_tokens_are_refused_rather_than_ignored(tiny_adapter: Path, tmp_path: Path) -> None:
    adapter = copy(tiny_adapter, tmp_path / "adapter")
    change(adapter / "adapter_config.json", peft_type="PREFIX_TUNING")
    assert sentence(adapter) == (
        f"{adapter}: adapters of the kind PREFIX_TUNING (virtual tokens) cannot be run here."
    )


def test_every_kind_that_peft_calls_prompt_learning_is_refused() -> None:
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING
    from peft.config import PromptLearningConfig

    kinds = {
        kind.value
        for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()
        if issubclass(config, PromptLearningConfig)
    }
    assert kinds
    assert kinds <= module._VIRTUAL_TOKENS

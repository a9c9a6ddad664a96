import pytest

from harness.data.hub import looks_like_hub_name, read_hub
from harness.exceptions import InputError


@pytest.mark.parametrize("name", ["squad", "owner/name", "name:config", "name@split", "o/n-1.0:c_1@test"])
def test_hub_names(name: str) -> None:
    assert looks_like_hub_name(name)


@pytest.mark.parametrize("name", ["../a", "/a/b", "a/b/c", "data.txt", "a/b.xlsx", "a b", "", "name:", "~/x"])
def test_file_names_are_no_hub_names(name: str) -> None:
    assert not looks_like_hub_name(name)


def test_reading_what_is_no_hub_name_is_refused() -> None:
    with pytest.raises(InputError, match="a hub name looks like"):
        read_hub("a/b/c")


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ConnectionError("Couldn't reach it."), "(Couldn't reach it)."),
        (ValueError("Unknown split"), "(Unknown split)."),
        (FileNotFoundError(), "(FileNotFoundError)."),
    ],
)
def test_what_the_library_raises_becomes_one_sentence(
    monkeypatch: pytest.MonkeyPatch, problem: Exception, said: str
) -> None:
    import datasets

    def fake(*_: object, **__: object) -> object:
        raise problem

    monkeypatch.setattr(datasets, "load_dataset", fake)
    with pytest.raises(InputError) as caught:
        read_hub("no/such")
    assert str(caught.value).endswith(said)
    assert caught.value.exit_code == 2

"""Recipes are checked before anything starts, and a run can be repeated from what it wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from twinpath.errors import ConfigError
from twinpath.train.recipe import Recipe, built_in_recipes, read_recipe, to_toml


def write(folder: Path, **changes: object) -> str:
    values = read_recipe("slowfast_tiny").model_dump() | changes
    lines = (f"{key} = {list(v) if isinstance(v, tuple) else repr(v)}" for key, v in values.items())
    path = folder / "recipe.toml"
    path.write_text("\n".join(lines))
    return str(path)


@pytest.mark.parametrize("name", built_in_recipes())
def test_the_recipes_of_the_package_are_valid(name: str) -> None:
    assert isinstance(read_recipe(name), Recipe)


def test_what_a_run_writes_reads_back_equal(tmp_path: Path) -> None:
    recipe = read_recipe("slowfast_tiny")
    (tmp_path / "again.toml").write_text(to_toml(recipe))
    assert read_recipe(str(tmp_path / "again.toml")) == recipe


def test_an_unknown_key_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'learning_rat'.*'learning_rate'"):
        read_recipe(write(tmp_path, learning_rat=0.1))


@pytest.mark.parametrize(
    ("key", "value"),
    [("epochs", 0), ("learning_rate", -1.0), ("precision", "fp8"), ("seed", "x"), ("name", "../x")],
)
def test_an_impossible_value_is_named_with_its_key(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        read_recipe(write(tmp_path, **{key: value}))


def test_a_recipe_that_is_not_there_tells_which_are() -> None:
    with pytest.raises(ConfigError, match="slowfast_tiny"):
        read_recipe("slowfast_huge")


def test_broken_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("epochs = = 3")
    with pytest.raises(ConfigError, match=r"r\.toml: not valid TOML"):
        read_recipe(str(tmp_path / "r.toml"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'name = "caf\xe9"', "not UTF-8 text"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"seed = " + b"9" * 4301, "not valid TOML"),
        (b"epochs = " + b"9" * 4300, "epochs"),
        (b"seed = " + b"9" * 30, "seed"),
        (b"learning_rate = inf", "learning_rate"),
        (b"learning_rate = nan", "learning_rate"),
        (b"render_heights_px = " + b"[" * 5000, "not valid TOML"),
    ],
)
def test_files_that_are_no_recipe_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    key = content.partition(b" = ")[0].decode("latin-1")
    values = read_recipe("slowfast_tiny").model_dump(mode="json")
    values.pop(key, None)
    path = tmp_path / "recipe.toml"
    path.write_bytes(content + b"\n" + tomli_w.dumps(values).encode())
    with pytest.raises(ConfigError) as caught:
        read_recipe(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert len(message) < 500

"""A recipe: the small TOML file that says how a model is trained. Values are checked before work starts."""

from __future__ import annotations

import difflib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from twinpath.errors import ConfigError

LAST = "last.ckpt"  # the checkpoint that a run goes on from
SETTINGS = "recipe.toml"  # what a run was begun with


class Recipe(BaseModel):
    """What `twinpath train` needs to know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[\w.-]+$")  # of the run and of the weights it makes
    model: str  # an architecture
    dataset: Literal["synthetic"]  # the only one so far
    start_from: str = ""  # a record whose weights to start from where they fit; empty: new ones
    seed: int = Field(ge=0)  # of the first weights; clips have seeds of their own

    epochs: PositiveInt
    clips_per_epoch: PositiveInt  # every epoch has new clips; none is seen twice
    validation_clips: PositiveInt
    batch_size: PositiveInt
    workers: int = Field(ge=0)  # processes that draw clips while the network trains
    render_heights_px: tuple[PositiveInt, ...]  # several, so that the network meets every sharpness

    learning_rate: PositiveFloat  # at its peak; then a cosine to zero
    warmup_fraction: float = Field(ge=0, lt=1)  # of all steps
    weight_decay: float = Field(ge=0)  # not on norms and biases
    label_smoothing: float = Field(ge=0, lt=1)
    precision: Literal["32-true", "bf16-mixed"]  # bf16 is faster on a CPU or GPU that has it
    stored_as: Literal["float32", "float16"]  # of the finished weights


def built_in_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("twinpath.train") / "recipes"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_recipe(name_or_path: str) -> Recipe:
    """Read a recipe of the package by name, or a TOML file.

    Raises:
        ConfigError: No such recipe, no valid TOML, an unknown key or an impossible value; names the key
            and the nearest valid name.
    """
    if name_or_path in built_in_recipes():
        text = (resources.files("twinpath.train") / "recipes" / f"{name_or_path}.toml").read_text("utf-8")
    elif Path(name_or_path).is_file():
        text = Path(name_or_path).read_text("utf-8")
    else:
        known = ", ".join(built_in_recipes())
        raise ConfigError(f"no recipe {name_or_path!r}: neither a file nor one of {known}")
    try:
        return Recipe(**tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name_or_path}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{name_or_path}: {_first_problem(error)}") from error


def _first_problem(error: ValidationError) -> str:
    problems: list[Any] = list(error.errors())
    unknown = [p for p in problems if p["type"] == "extra_forbidden"]  # says more than the key then missing
    problem = (unknown or problems)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, Recipe.model_fields, n=1, cutoff=0.0)[0]
        return f"unknown key {key!r}; did you mean {near!r}?"
    return f"{key}: {problem['msg']}"


def check_folder(folder: Path, recipe: Recipe, *, resume: bool) -> None:
    """Whether a run may write here, before anything heavy starts.

    Raises:
        ConfigError: The folder holds a run already, nothing to resume, or a run with other settings.
    """
    last = folder / LAST
    if resume and not last.exists():
        raise ConfigError(f"nothing to resume: {last} does not exist")
    if last.exists() and not resume:
        raise ConfigError(f"{folder} holds a run already; go on with --resume or choose another --out")
    if resume and (folder / SETTINGS).exists():
        before = read_recipe(str(folder / SETTINGS)).model_dump()
        changed = [key for key, value in recipe.model_dump().items() if before[key] != value]
        if changed:
            raise ConfigError(
                f"{folder} was begun with another {', '.join(changed)}; resume it with its own "
                f"{folder / SETTINGS} or choose another --out"
            )


def to_toml(recipe: Recipe) -> str:
    """The recipe as a file that `read_recipe` reads back equal."""

    def value(v: Any) -> str:
        if isinstance(v, str):
            return '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return str(list(v)) if isinstance(v, tuple) else str(v)

    return "".join(f"{key} = {value(v)}\n" for key, v in recipe.model_dump().items())

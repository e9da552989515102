"""A recipe: the TOML file that defines how a model is trained. Values are checked before work starts."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from twinpath.errors import ConfigError
from twinpath.escapes import shown
from twinpath.formats.text_columns import decode_text
from twinpath.suggest import nearest_name

LAST = "last.ckpt"  # the checkpoint after the last whole epoch
PREVIOUS = "previous.ckpt"  # the one before
SETTINGS = "recipe.toml"  # the recipe of the run

Count = Annotated[int, Field(gt=0, le=10**9)]


class Recipe(BaseModel):
    """Settings of a training run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[\w.-]+$")  # of the run and of its weights
    model: str  # an architecture
    dataset: Literal["synthetic", "painted"]  # drawn actions; painted encounters, with more to learn of each
    start_from: str = ""  # a record to take weights from, where names and shapes match; empty: new weights
    seed: int = Field(ge=0, lt=2**32)  # of new weights; clips have seeds of their own

    epochs: Count
    clips_per_epoch: Count  # every epoch has new clips; none is seen twice
    validation_clips: Count
    batch_size: Count
    workers: int = Field(ge=0, le=1024)  # processes that draw clips while the network trains
    render_heights_px: tuple[Count, ...]  # several, so that the network learns every sharpness
    crop_px: int = Field(default=0, ge=0, le=10**4)  # of painted clips; 0: the network's. Smaller is faster
    frozen: tuple[str, ...] = ()  # modules that stay as they are: "slow.stem"

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
        ConfigError: No such recipe, no UTF-8, no valid TOML, an unknown key or a value that is not allowed;
            names the file, the key and the nearest valid name.
    """
    if name_or_path in built_in_recipes():
        text = (resources.files("twinpath.train") / "recipes" / f"{name_or_path}.toml").read_text("utf-8")
    elif Path(name_or_path).is_file():
        text = _text_of(Path(name_or_path))
    else:
        known = ", ".join(built_in_recipes())
        raise ConfigError(f"no recipe {name_or_path!r}: neither a file nor one of {known}")
    try:
        return Recipe(**tomllib.loads(text))
    except ValidationError as error:
        raise ConfigError(f"{name_or_path}: {shown(_first_problem(error))}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name_or_path}: not valid TOML: {shown(str(error))}") from error
    except ValueError as error:
        raise ConfigError(f"{name_or_path}: not valid TOML: a number has too many digits") from error
    except RecursionError as error:
        raise ConfigError(f"{name_or_path}: not valid TOML: nested too deeply") from error


def _text_of(path: Path) -> str:
    try:
        return decode_text(path.read_bytes())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _first_problem(error: ValidationError) -> str:
    problems: list[Any] = list(error.errors())
    unknown = [p for p in problems if p["type"] == "extra_forbidden"]  # the cause where a key is missing, too
    problem = (unknown or problems)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}; did you mean {nearest_name(key, Recipe.model_fields, cutoff=0.0)!r}?"
    return f"{key}: {problem['msg']}"


def check_folder(folder: Path, recipe: Recipe, *, resume: bool) -> None:
    """Check that a run may write to a folder, before anything that takes time.

    Raises:
        ConfigError: The folder holds a run already, nothing to resume, or a run with other settings.
    """
    if resume and not holds_run(folder):
        raise ConfigError(f"nothing to resume: {folder / LAST} does not exist")
    if holds_run(folder) and not resume:
        raise ConfigError(f"{folder} holds a run already; go on with resume=True, or choose another folder")
    if resume and (folder / SETTINGS).exists():
        before = read_recipe(str(folder / SETTINGS)).model_dump()
        changed = [key for key, value in recipe.model_dump().items() if before[key] != value]
        if changed:
            raise ConfigError(
                f"{folder} was begun with another {', '.join(changed)}; resume it with its own "
                f"{folder / SETTINGS}, or choose another folder"
            )


def holds_run(folder: Path) -> bool:
    """Whether there is a checkpoint of a run in a folder."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def to_toml(recipe: Recipe) -> str:
    """The recipe as the text of a file that `read_recipe` reads back equal."""
    return tomli_w.dumps(recipe.model_dump(mode="json"))

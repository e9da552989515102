"""A recipe: the TOML file that defines how a model is trained, checked before work starts. No torch.

    base = "slowfast_r50_8x8_kinetics"     # another recipe, that this one changes

    [schedule]
    epochs = 100

A name that is left out is that of the file.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, cast

import tomli_w
from pydantic import Field, ValidationError, model_validator

from twinpath.cores import available_cores
from twinpath.errors import ConfigError
from twinpath.escapes import shown
from twinpath.formats.text_columns import decode_text
from twinpath.suggest import nearest_names
from twinpath.train.recipe_checks import check_recipe
from twinpath.train.recipe_keys import NAME, as_declared, parse_setting, unknown_key
from twinpath.train.sections import (
    AugmentationSection,
    BatchNormSection,
    ClipSection,
    DataSection,
    EvaluationSection,
    LogSection,
    LossSection,
    MaskSection,
    MixSection,
    ModelSection,
    MultigridSection,
    OptimizerSection,
    RunSection,
    ScheduleSection,
    Section,
)

LAST = "last.ckpt"  # the checkpoint after the last whole epoch
PREVIOUS = "previous.ckpt"  # the one before
SETTINGS = "recipe.toml"  # the recipe of the run
_MODEL_JSON = "model.json"  # of a model folder, see `zoo.model_folder`

_LONGEST = 100  # characters of a name that are compared

BASE = "base"  # the key of a file that names the recipe that it changes

Values = dict[str, Any]


class Recipe(Section):
    """Settings of a training run, in sections that agree with each other.

    Raises:
        ConfigError: Settings of two sections contradict each other.
    """

    name: str = Field(pattern=r"^[\w.-]+$")  # of the run and of its weights
    model: ModelSection
    data: DataSection
    clip: ClipSection = ClipSection()
    augmentation: AugmentationSection = AugmentationSection()
    mix: MixSection = MixSection()
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection
    batch_norm: BatchNormSection = BatchNormSection()
    multigrid: MultigridSection = MultigridSection()
    loss: LossSection = LossSection()
    mask: MaskSection = MaskSection()
    evaluation: EvaluationSection = EvaluationSection()
    run: RunSection
    log: LogSection = LogSection()

    @property
    def num_workers(self) -> int:
        """Processes that make clips; where the recipe names no number, one for each core but one."""
        return max(available_cores() - 1, 0) if self.run.workers is None else self.run.workers

    @model_validator(mode="after")
    def _sections_agree(self) -> Recipe:
        check_recipe(self)
        return self


SECTIONS: dict[str, type[Section]] = {
    name: cast("type[Section]", field.annotation)
    for name, field in Recipe.model_fields.items()
    if name != NAME
}

# Keys of recipes before they had sections.
_FLAT = {
    "model": "model.network",
    "dataset": "data.kind",
    "start_from": "model.start_from",
    "seed": "run.seed",
    "epochs": "schedule.epochs",
    "learning_rate": "schedule.base_learning_rate",
    "warmup_fraction": "schedule.warmup_epochs",
    "batch_size": "run.batch_size",
}


def built_in_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("twinpath.train") / "recipes"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe of the package by name, or a TOML file.

    Args:
        name_or_path: A name of `built_in_recipes()`, or a file. Its `base` is one of these, too; a path is
            relative to the file.
        overrides: Settings that replace those of the file: "schedule.epochs=30", or "epochs=30" where only
            one section has the key. Values are those of TOML, bare words are text; "none" is nothing.
    Raises:
        ConfigError: No such recipe, no UTF-8, no valid TOML, an unknown key, a value that is not allowed, or
            settings that contradict each other; names the file, the key and the nearest valid name.
    """
    return recipe_of(_merged_file(name_or_path, ()), overrides, origin=name_or_path)


def recipe_of(values: Mapping[str, Any], overrides: Sequence[str] = (), *, origin: str) -> Recipe:
    """Make a recipe of values as a file has them, `base` excepted.

    Args:
        values: Sections by name, each a dictionary, and the name.
        overrides: See `read_recipe`.
        origin: Where they are from, for messages.
    Raises:
        ConfigError: See `read_recipe`.
    """
    settings = [parse_setting(text, SECTIONS) for text in overrides]
    merged = values
    for path, value in settings:
        merged = _merged(merged, {path[0]: value if len(path) == 1 else {path[1]: value}})
    declared = {
        key: as_declared(SECTIONS[key], value) if key in SECTIONS and isinstance(value, Mapping) else value
        for key, value in merged.items()
    }
    complete = {**{key: {} for key in SECTIONS}, **declared}
    try:  # as JSON: lists are tuples there, while a text is no number and true is no 1
        return Recipe.model_validate_json(json.dumps(complete, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {shown(_first_problem(error))}") from error
    except ConfigError as error:
        raise ConfigError(f"{origin}: {shown(str(error))}") from error


def changed(recipe: Recipe, overrides: Sequence[str]) -> Recipe:
    """A recipe with other settings; see `read_recipe` for how they are written.

    Raises:
        ConfigError: See `read_recipe`.
    """
    return recipe_of(recipe.model_dump(mode="json", exclude_none=True), overrides, origin=recipe.name)


def _merged_file(name_or_path: str, before: tuple[str, ...]) -> Values:
    """The values of a recipe and of those that it is based on, as far as they are not replaced.

    Args:
        before: The recipes that are based on this one, to tell circles.
    """
    if name_or_path in built_in_recipes():
        folder = None
        text = (resources.files("twinpath.train") / "recipes" / f"{name_or_path}.toml").read_text("utf-8")
    elif Path(name_or_path).is_file():
        folder = Path(name_or_path).parent
        text = _text_of(Path(name_or_path))
    else:
        near = ", ".join(nearest_names(name_or_path[:_LONGEST], built_in_recipes(), count=3, cutoff=0.0))
        raise ConfigError(
            f"no recipe {name_or_path!r}: neither a file nor one of the package; nearest are {near}"
        )
    values = _parsed(text, name_or_path)
    _check_has_sections(values, name_or_path)
    base = values.pop(BASE, None)
    if not isinstance(values.get(NAME, ""), str):
        raise ConfigError(f"{name_or_path}: name: it is a text")
    values.setdefault(NAME, Path(name_or_path).stem if folder is not None else name_or_path)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ConfigError(f"{name_or_path}: base: it is the name of a recipe or a path")
    if folder is not None and base not in built_in_recipes():
        base = str(folder / base)
    here = _identity(name_or_path)
    if _identity(base) in (*before, here):
        raise ConfigError(f"{name_or_path}: base: {base} is itself based on this recipe")
    return _merged(_merged_file(base, (*before, here)), values)


def _identity(name_or_path: str) -> str:
    return name_or_path if name_or_path in built_in_recipes() else str(Path(name_or_path).resolve())


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """Values with changes: keys of sections are replaced one by one, and not the section."""
    merged = dict(values)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def _text_of(path: Path) -> str:
    try:
        return decode_text(path.read_bytes())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error


def _parsed(text: str, origin: str) -> Values:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{origin}: not valid TOML: {shown(str(error))}") from error
    except ValueError as error:
        raise ConfigError(f"{origin}: not valid TOML: a number has too many digits") from error
    except RecursionError as error:
        raise ConfigError(f"{origin}: not valid TOML: nested too deeply") from error


def _check_has_sections(values: Values, origin: str) -> None:
    """Recognise recipes of before there were sections, as folders of runs hold them."""
    old = [key for key in _FLAT if key in values]
    if old and not any(isinstance(value, dict) for value in values.values()):
        now = ", ".join(f"{key!r} is now {_FLAT[key]!r}" for key in old[:3])
        raise ConfigError(
            f"{origin}: a recipe of an earlier version, which had no sections: {now}; write it anew, and "
            "begin a new run with it"
        )


def _first_problem(error: ValidationError) -> str:
    problems: list[Any] = list(error.errors())
    unknown = [p for p in problems if p["type"] == "extra_forbidden"]  # the cause where a key is missing, too
    problem = (unknown or problems)[0]
    path = tuple(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return unknown_key(path, SECTIONS)
    if problem["type"] == "model_type":
        return f"{path[0]} is a section: its keys stand below [{path[0]}]"
    return f"{'.'.join(path)}: {problem['msg']}"


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
        other = differences(read_recipe(str(folder / SETTINGS)), recipe)
        if other:
            raise ConfigError(
                f"{folder} was begun with another {', '.join(other)}; resume it with its own "
                f"{folder / SETTINGS}, or choose another folder"
            )


def differences(first: Recipe, second: Recipe) -> list[str]:
    """Full names of the keys that two recipes have different values of, as far as they change a training."""
    one, other = first.model_dump(), second.model_dump()
    names = [NAME] if first.name != second.name else []
    return names + [
        f"{section}.{key}"
        for section in SECTIONS
        if section != "log"
        for key, value in one[section].items()
        if other[section][key] != value
    ]


def holds_run(folder: Path) -> bool:
    """Whether there is a checkpoint of a run in a folder."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is that of a training by a recipe. (A model's may hold a recipe, too.)"""
    return (folder / SETTINGS).is_file() and not (folder / _MODEL_JSON).is_file()


def to_toml(recipe: Recipe) -> str:
    """The whole recipe as the text of a file that `read_recipe` reads back equal."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))

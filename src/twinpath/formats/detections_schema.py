"""The schema of detections in JSON. Errors name the file, the place, the value and what is allowed.

Import it inside functions: importing pydantic is slow, and most commands read no detections.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from twinpath.errors import InputError
from twinpath.formats.json_nodes import format_value

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
BoxSides = Annotated[list[Finite], Field(min_length=4, max_length=4)]


def _name_or_number(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("name", "a whole number or text")
    return value


class _Schema(BaseModel):
    """Strict: neither "1" nor true is a number. Other keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")


class PointSchema(_Schema):
    """One person at one time."""

    time_s: Seconds
    box_xyxy_px: BoxSides
    detection_score: Score | None = None


class TrackSchema(_Schema):
    """One person through the video, in detections or in the ground truth of the synthetic world."""

    track_id: Annotated[
        Any, AfterValidator(_name_or_number), Field(validation_alias=AliasChoices("track_id", "track"))
    ]
    points: Annotated[list[PointSchema], Field(validation_alias=AliasChoices("points", "boxes"))]


class TracksSchema(_Schema):
    """The boxes of one video's people: the required fields of a file of boxes."""

    video: str | None = None
    width_px: Annotated[
        float | None, Field(ge=1, allow_inf_nan=False, validation_alias=AliasChoices("width_px", "width"))
    ] = None
    height_px: Annotated[
        float | None, Field(ge=1, allow_inf_nan=False, validation_alias=AliasChoices("height_px", "height"))
    ] = None
    keyframes_s: list[Seconds] | None = None
    tracks: Annotated[list[TrackSchema], Field(validation_alias=AliasChoices("tracks", "people"))]


class ActionSchema(_Schema):
    """An action of a person, see `Prediction`."""

    label: str
    index: Annotated[int, Field(ge=0)]
    score: Score


class DetectionsPointSchema(_Schema):
    """See `TrackPoint`."""

    time_s: Seconds
    box_xyxy_px: BoxSides
    detection_score: Score
    actions: list[ActionSchema]


class DetectionsTrackSchema(_Schema):
    """See `Track`."""

    track_id: Annotated[int, Field(ge=1)]
    points: list[DetectionsPointSchema]


class DetectionsSchema(_Schema):
    """See `Detections`."""

    video: str
    model: str
    dataset: str
    engine: str
    person_detector: str
    tracker: str
    width_px: Annotated[int, Field(ge=1)]
    height_px: Annotated[int, Field(ge=1)]
    duration_s: Seconds
    every_s: Seconds
    keyframes_s: list[Seconds]
    tracks: list[DetectionsTrackSchema]
    warnings: list[str]
    timing_s: dict[str, Finite]
    first_frame_s: Seconds = 0.0


SchemaT = TypeVar("SchemaT", bound=_Schema)

_KINDS = {  # pydantic's error types: what the value must be
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "finite_number": "a finite number",
}


def validated(schema: type[SchemaT], values: Any, *, file: str, place: str = "") -> SchemaT:
    """Validate values of a JSON file.

    Args:
        schema: The expected schema.
        values: The parsed values.
        file: Name of the file, for the message.
        place: Place of the values in the file, for example "[3]"; empty for the whole file.
    Raises:
        InputError: The first invalid value.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        where, what = _describe(error.errors(include_url=False, include_context=True)[0])
        place = (place + where).removeprefix(".")
        raise InputError(f"{file}: {place}: {what}" if place else f"{file}: {what}") from error


def _describe(error: ErrorDetails) -> tuple[str, str]:
    """The place, for example ".tracks[3].points", and the description of an error."""
    *above, last = error["loc"] or ("",)
    kind, value, limits = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return _place(above), f"{last!r} is missing"
    if value is None and isinstance(last, str):
        return _place(above), f"{last!r} is null; it must be {_KINDS.get(kind, 'present')}"
    where = _place([*above, last] if error["loc"] else [])
    if kind in ("too_short", "too_long"):
        return where, f"{limits['actual_length']} numbers, not 4"
    if kind == "greater_than_equal":
        return where, f"{value:g} is less than {limits['ge']:g}"
    if kind == "less_than_equal":
        return where, f"{value:g} is more than {limits['le']:g}"
    wanted = _KINDS.get(kind, error["msg"])
    if kind == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        wanted = _KINDS["finite_number"]  # an integer too large for a float
    return where, f"{format_value(value)} is not {wanted}"


def _place(steps: list[int | str]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)

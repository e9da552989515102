"""The report, in Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.bars import Verdict, ratio, stages_text
from benchmarks.figures import Figure, Subject, find

SECTIONS = {
    "cold": (
        "New processes",
        "From the start of a command to its exit; files and compiled networks are in their caches. "
        "`tutorial` is PyTorchVideo's with random weights: it does not read a file of 264 MB, as ours does.",
    ),
    "network": (
        "The network alone",
        "One clip in a warm process. Ours takes uint8 frames, preprocessing included; PyTorchVideo's a "
        "random tensor of the test crop. The peak is the best 2048 x 2048 matrix product, measured in turn.",
    ),
    "clip": (
        "One clip from the file to the answer",
        "In a warm process: decode, preprocess, infer. Ours preprocesses while it infers.",
    ),
    "views": ("3x10 views", "Three crops of ten clips of one video of ten seconds, in a warm process."),
    "decode": ("Decoding", "To RGB, without a network; PyTorchVideo's gives float32."),
    "long": (
        "A long video",
        "A window every second in a warm process, as `twinpath timeline` scores them; beside it the same "
        "number of windows scored without decoding, and decoded without scoring.",
    ),
    "memory": ("Memory over length", "Peak resident memory of `twinpath timeline` in a new process."),
    "agreement": (
        "Agreement",
        "Largest difference of a probability, golden weights: the engine as it is used against torch in "
        "float32 on the same frames, and against PyTorchVideo, which decodes and preprocesses by itself.",
    ),
    "detection": (
        "Detection",
        "Actions of people, golden weights, a keyframe every second, in a warm process. With `whole` the "
        "frame is one box and no person detector runs; `hog` is OpenCV's person detector.",
    ),
    "gpu": ("On a GPU", "Eight clips at once through the torch engine."),
    "peak": ("Matrix products", "2048 x 2048, all cores."),
}
SUBJECTS: dict[Subject, str] = {
    "twinpath": "Twinpath",
    "torch": "Twinpath, torch fp32",
    "pytorchvideo": "PyTorchVideo",
    "machine": "machine",
}


def as_json(run: Mapping[str, Any], figures: Sequence[Figure], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The run, the figures and the verdicts as plain values for JSON.

    Args:
        run: The machine, the command and the settings.
        figures: All figures.
        verdicts: All bars.
    """
    return {
        **run,
        "figures": [figure.to_dict() for figure in figures],
        "bars": [asdict(verdict) for verdict in verdicts],
    }


def as_markdown(run: Mapping[str, Any], figures: Sequence[Figure], verdicts: Sequence[Verdict]) -> str:
    """The report in Markdown; the arguments are those of `as_json`."""
    parts = [_head(run), _bars(verdicts)]
    for group, (title, words) in SECTIONS.items():
        found = [figure for figure in figures if figure.group == group]
        if found:
            command = f"`make bench ARGS='--only {'network' if group == 'peak' else group}'`"
            parts.append(f"## {title}\n\n{words} ({command})\n\n{_TABLES.get(group, _speeds)(found)}")
    return "\n\n".join(parts) + "\n"


def _head(run: Mapping[str, Any]) -> str:
    machine, busy = run["machine"], run["other_load"]
    threads = machine["threads_by_environment"]
    rows = {
        "command": f"`{run['command']}`",
        "date": f"{machine['date']}, {run['minutes']:.0f} minutes",
        "CPU": f"{machine['cpu']}, {machine['cores']} cores ({', '.join(machine['cpu_flags'])})",
        "memory": f"{machine['memory_gib']:g} GiB",
        "system": f"{machine['system']}, Python {machine['python']}",
        "versions": ", ".join(f"{name} {machine[name]}" for name in ("torch", "openvino", "numpy", "av")),
        "clip": run["clip"],
        "repetitions": f"{run['runs']}, in turn; medians",
        "other processes": f"took {busy['others']:.0%} of the cores' time meanwhile"
        + (f", other machines {busy['stolen']:.0%}" if busy["stolen"] else ""),
    }
    if threads:
        rows["OMP_NUM_THREADS"] = threads
    rows |= {f"{group} failed": reason for group, reason in run["failed"].items()}
    return "# How fast\n\n" + _table(("", ""), rows.items())


def _bars(verdicts: Sequence[Verdict]) -> str:
    words = {True: "yes", False: "**no**", None: "not measured"}
    rows = [(v.what, v.bar, v.here, words[v.holds], v.limit) for v in verdicts]
    return "## Bars\n\n" + _table(("what", "bar", "here", "holds", "what limits it"), rows)


def _speeds(figures: Sequence[Figure]) -> str:
    """A row for each quantity, a column for each subject, and the ratio."""
    subjects = [s for s in SUBJECTS if any(figure.subject == s for figure in figures)]
    head = ["", *(f"{SUBJECTS[s]}, {_unit(figures)}" for s in subjects)]
    has_ratio = {"twinpath", "pytorchvideo"} <= set(subjects)
    shares = any("share" in figure.facts for figure in figures)
    stages = [s for s in subjects if any(f.stages_s for f in figures if f.subject == s)]
    head += ["ratio"] * has_ratio + ["of the peak"] * shares + [f"stages, {SUBJECTS[s]}" for s in stages]
    rows = []
    for what in dict.fromkeys(figure.what for figure in figures):
        here = {s: figure for s in subjects if (figure := find(figures, figures[0].group, what, s))}
        row = [what, *(_value(here[s]) if s in here else "" for s in subjects)]
        if has_ratio:
            factor = ratio(figures, figures[0].group, what)
            row.append(f"{factor:.2f}x" if factor else "")
        if shares:
            row.append(f"{here['twinpath'].facts['share']:.0%}")
        row += [stages_text(here[s]) if s in here else "" for s in stages]
        rows.append(row)
    return _table(head, rows)


def _cold(figures: Sequence[Figure]) -> str:
    rows = [
        (
            figure.what,
            f"`{figure.facts['command']}`",
            _value(figure),
            _mib(figure.facts["peak_bytes"]),
            stages_text(figure),
        )
        for figure in figures
    ]
    return _table(("", "command", "ms", "peak MiB", "stages"), rows)


def _views(figures: Sequence[Figure]) -> str:
    decoded = {f.what: f.facts["frames_decoded"] for f in figures if f.subject == "twinpath"}
    lines = [f"Frames that Twinpath decoded for {what}: {count}." for what, count in decoded.items()]
    return _speeds(figures) + "\n\n" + " ".join(lines)


def _long(figures: Sequence[Figure]) -> str:
    rows = [
        (
            figure.what,
            str(figure.facts["windows"]),
            f"{figure.median:.2f}",
            f"{figure.facts['infer_alone_s']:.2f}",
            f"{figure.facts['decode_alone_s']:.2f}",
            f"{figure.facts['share']:.0%}",
        )
        for figure in figures
    ]
    head = ("", "windows", "s", "scored alone, s", "decoded alone, s", "of the speed of scoring alone")
    return _table(head, rows)


def _memory(figures: Sequence[Figure]) -> str:
    rows = [(f.what, f"`{f.facts['command']}`", _mib(f.median), f"{f.facts['wall_s']:.0f}") for f in figures]
    return _table(("video", "command", "peak MiB", "s"), rows)


def _agreement(figures: Sequence[Figure]) -> str:
    rows = [
        (
            figure.what,
            SUBJECTS[figure.subject],
            f"{max(figure.values):.5f}",
            f"{figure.facts['same_top_1']} of {figure.facts['clips']}",
        )
        for figure in figures
    ]
    return _table(("", "against", "largest difference", "same top 1"), rows)


def _detection(figures: Sequence[Figure]) -> str:
    rows = []
    for figure in figures:
        by_stage = figure.facts.get("by_stage", {})
        speed = f"{figure.facts['video_s_per_s']:.2f}" if by_stage else ""
        stages = ", ".join(f"{stage} {value:.1f}" for stage, value in by_stage.items())
        rows.append((figure.what, _value(figure), speed, stages))
    return _table(("", "ms", "seconds of video a second", "each stage alone"), rows)


_TABLES = {
    "cold": _cold,
    "views": _views,
    "long": _long,
    "memory": _memory,
    "agreement": _agreement,
    "detection": _detection,
}


def _unit(figures: Sequence[Figure]) -> str:
    return "ms" if figures[0].unit == "s" else figures[0].unit


def _value(figure: Figure) -> str:
    """The median, and the smallest and largest value."""
    scale = 1000 if figure.unit == "s" else 1
    middle, low, high = (scale * value for value in (figure.median, min(figure.values), max(figure.values)))
    digits = 0 if middle >= 100 else 1
    if len(figure.values) == 1:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)

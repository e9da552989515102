"""The report, in Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.bars import Verdict, ratio, share_of_slower, stages_text
from benchmarks.figures import Figure, Subject, find

SECTIONS = {
    "cold": (
        "New processes",
        "From the start of a command to its exit; files and compiled networks are in their caches. "
        "`tutorial` is PyTorchVideo's with random weights: it does not read a file of 264 MB, as ours does.",
    ),
    "network": (
        "The network with its preprocessing",
        "One clip in a warm process. Ours takes uint8 frames of 340x256; PyTorchVideo's network alone a "
        "random tensor of the test crop. The peak is the best 2048 x 2048 matrix product, measured in turn. "
        "The limit is the least time in which this machine can read, compute and write every layer: at that "
        "peak (depthwise layers at that of float32), and at the speed of a copy of as many bytes.",
    ),
    "clip": (
        "One clip from the file to the answer",
        "In a warm process: decode, preprocess, infer. Ours preprocesses while it infers.",
    ),
    "views": ("3x10 views", "Three crops of ten clips of one video of ten seconds, in a warm process."),
    "folder": (
        "A folder of short clips",
        "`twinpath classify` of the whole folder in a new process; beside it clips that are decoded already "
        "in a warm process, and decoding and resizing in one thread without a network.",
    ),
    "decode": ("Decoding", "To RGB, without a network; PyTorchVideo's gives float32."),
    "long": (
        "A long video",
        "A window every second in a warm process, as `twinpath timeline` scores them; beside it the same "
        "number of windows scored without decoding, and decoded and resized without scoring.",
    ),
    "memory": ("Memory", "Peak resident memory of commands in a new process."),
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
    "copy": ("Memory bandwidth", "Copies, read and written, all cores."),
}
SUBJECTS: dict[Subject, str] = {
    "twinpath": "Twinpath",
    "before": "before",
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
            option = "network" if group in ("peak", "copy") else group
            command = f"`make bench ARGS='--only {option}'`"
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
    if run["before"]:
        rows["before"] = f"commit {run['before']}"
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
    others = [s for s in ("pytorchvideo", "before") if {"twinpath", s} <= set(subjects)]
    shares = any("share" in figure.facts for figure in figures)
    stages = [s for s in subjects if any(f.stages_s for f in figures if f.subject == s)]
    head += [f"{SUBJECTS[s]} ÷ Twinpath" for s in others]
    head += ["of the peak", "of the limit", "limit"] * shares + [f"stages, {SUBJECTS[s]}" for s in stages]
    rows = []
    for what in dict.fromkeys(figure.what for figure in figures):
        here = {s: figure for s in subjects if (figure := find(figures, figures[0].group, what, s))}
        row = [what, *(_value(here[s]) if s in here else "" for s in subjects)]
        for other in others:
            factor = ratio(figures, figures[0].group, what, other)
            row.append(f"{factor:.2f}x" if factor else "")
        if shares:
            facts = here["twinpath"].facts
            row += [f"{facts['share']:.0%}", f"{facts['limit_share']:.0%}", facts["limit"]]
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
    has_before = any(figure.subject == "before" for figure in figures)
    rows = [
        (
            figure.what,
            str(figure.facts["windows"]),
            f"{figure.median:.2f}",
            f"{figure.facts['infer_alone_s']:.2f}",
            f"{figure.facts['decode_alone_s']:.2f}",
            "{1:.0%} of {0}".format(*share_of_slower(figure)),
            *_before(figures, figure, has_before),
        )
        for figure in figures
        if figure.subject == "twinpath"
    ]
    head = ["", "windows", "s", "scored alone, s", "decoded alone, s", "of the speed of the slower one alone"]
    return _table(head + ["before, s", "before ÷ Twinpath"] * has_before, rows)


def _folder(figures: Sequence[Figure]) -> str:
    rows = []
    for figure in figures:
        facts, seconds = figure.facts, figure.median
        rows.append(
            (
                f"{figure.what}, {SUBJECTS[figure.subject]}",
                f"`{facts['command']}`",
                f"{seconds:.1f} ({min(figure.values):.1f}–{max(figure.values):.1f})",
                f"{facts['clips'] / seconds:.1f}",
                f"{facts['windows'] / facts['infer_alone_s']:.1f}",
                f"{facts['windows'] / facts['decode_alone_s']:.1f}",
            )
        )
    head = ("", "command", "s", "clips a second", "inference alone", "decoding alone, one thread")
    return _table(head, rows)


def _before(figures: Sequence[Figure], figure: Figure, has_before: bool) -> list[str]:
    """The earlier checkout's seconds for the same, and the ratio."""
    before = find(figures, figure.group, figure.what, "before")
    if before is None:
        return ["", ""] * has_before
    return [f"{before.median:.2f}", f"{before.median / figure.median:.2f}x"]


def _memory(figures: Sequence[Figure]) -> str:
    rows = [(f.what, f"`{f.facts['command']}`", _mib(f.median), f"{f.facts['wall_s']:.0f}") for f in figures]
    return _table(("", "command", "peak MiB", "s"), rows)


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
    "folder": _folder,
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

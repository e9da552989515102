"""The bars for speed, memory and agreement, and whether a run meets them.

The bars of speed are ratios to PyTorchVideo 0.1.5, eager and in float32, measured in the same run on the same
CPU. They are for CPUs with bf16 instructions: on others, a bar is the speed of an earlier checkout
(`--before`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.commands import (
    BEFORE,
    MEMORY_MINUTES,
    PICTURE_CODECS,
    TUTORIAL,
    large_video_label,
    picture_label,
)
from benchmarks.figures import Figure, Subject, find
from benchmarks.networks import DETECTION, EMBEDDED, FAST, MAIN, NETWORKS, Network
from benchmarks.warm import PEOPLE, people_label

AS_BEFORE = 0.95  # of the speed before, within the noise of a run
AS_BEFORE_TEXT = "as before (no bf16 here)"
COMMAND_BAR = 6.0
EMBEDDED_BAR_S, EMBEDDED_FP32_BAR_S = 0.5, 1.2
VIEWS_BAR = 10.0
LONG_BAR = 0.9
FOLDER_BAR = 2.2
PICTURE_BAR_GB, PICTURE_BAR_S = 1.2, 5.0
LARGE_VIDEO_BAR_GB = 1.0
MEMORY_BAR = 1.1
SCORES_BAR = 0.01
PEOPLE_BAR = 1.15
GPU_BAR = 3.0


@dataclass(frozen=True)
class Verdict:
    """Whether one bar is met.

    Attributes:
        what: The quantity.
        bar: The bar, as text.
        here: The measured value, as text.
        holds: Whether the bar is met; None: it was not measured.
        limit: What takes the time, where the bar is not met or needs a reason.
    """

    what: str
    bar: str
    here: str
    holds: bool | None
    limit: str = ""


def judge(figures: Sequence[Figure], *, has_bf16: bool) -> list[Verdict]:
    """Every bar, in the order of the report.

    Args:
        figures: All figures.
        has_bf16: Whether the CPU has bf16 instructions.
    """
    return [
        *(_network(figures, net, has_bf16) for net in NETWORKS.values()),
        *(_clip(figures, net, has_bf16) for net in NETWORKS.values()),
        _command(figures, has_bf16),
        _embedded(figures, has_bf16),
        _views(figures, has_bf16),
        *_long(figures),
        _folder(figures, has_bf16),
        _memory(figures),
        *_large(figures),
        *_agreement(figures),
        _people(figures),
        _gpu(figures),
    ]


def ratio(figures: Sequence[Figure], group: str, what: str, other: Subject = "pytorchvideo") -> float | None:
    """Speed of Twinpath as a multiple of the other's; None: one of them was not measured."""
    ours, theirs = find(figures, group, what, "twinpath"), find(figures, group, what, other)
    return theirs.median / ours.median if ours and theirs else None


def stages_text(figure: Figure) -> str:
    """For example "decode 20 ms (5 %), infer 380 ms (95 %)"."""
    parts = [f"{stage} {_ms(s)} ({s / figure.median:.0%})" for stage, s in figure.stages_s.items()]
    return ", ".join(parts)


def _embedded(figures: Sequence[Figure], has_bf16: bool) -> Verdict:
    bar_s = EMBEDDED_BAR_S if has_bf16 else EMBEDDED_FP32_BAR_S
    what, bar = f"new process, `classify`, {EMBEDDED}", f"< {bar_s} s"
    figure = find(figures, "cold", EMBEDDED, "twinpath")
    if figure is None:
        return Verdict(what, bar, "", None)
    holds = figure.median < bar_s
    return Verdict(what, bar, f"{figure.median:.2f} s", holds, "" if holds else stages_text(figure))


def _command(figures: Sequence[Figure], has_bf16: bool) -> Verdict:
    what = f"new process, `classify` against the tutorial, {MAIN}"
    ours = find(figures, "cold", MAIN, "twinpath")
    peer = find(figures, "cold", TUTORIAL, "pytorchvideo")
    return _faster(what, COMMAND_BAR, ours, peer, find(figures, "cold", BEFORE, "before"), has_bf16)


def _clip(figures: Sequence[Figure], net: Network, has_bf16: bool) -> Verdict:
    alone = find(figures, "network", net.name, "twinpath")
    found = _of_subjects(figures, "clip", net.name)
    return _faster(f"warm process, one clip, {net.name}", net.clip_bar, *found, has_bf16, _allowed(alone))


def _network(figures: Sequence[Figure], net: Network, has_bf16: bool) -> Verdict:
    ours, peer, before = _of_subjects(figures, "network", net.name)
    what = f"network with its preprocessing, {net.name}"
    return _faster(what, net.network_bar, ours, peer, before, has_bf16, _allowed(ours))


def _of_subjects(
    figures: Sequence[Figure], group: str, what: str
) -> tuple[Figure | None, Figure | None, Figure | None]:
    """Ours, PyTorchVideo's and that of the earlier checkout."""
    ours, peer, before = (find(figures, group, what, s) for s in ("twinpath", "pytorchvideo", "before"))
    return ours, peer, before


def _faster(
    what: str,
    bar: float,
    ours: Figure | None,
    peer: Figure | None,
    before: Figure | None,
    has_bf16: bool,
    more: str = "",
) -> Verdict:
    """With bf16 a multiple of PyTorchVideo's speed; without, no slower than before, with the stages."""
    bar, wanted, other = (bar, f"≥ {bar:g}x", peer) if has_bf16 else (AS_BEFORE, AS_BEFORE_TEXT, before)
    if ours is None or other is None:
        return Verdict(what, wanted, "", None)
    factor = other.median / ours.median
    if factor >= bar and has_bf16:
        return Verdict(what, wanted, f"{factor:.1f}x", True)
    here = f"{factor:.2f}x"
    if not has_bf16 and peer is not None:
        here += f"; {peer.median / ours.median:.1f}x PyTorchVideo"
    parts = [f"takes {_ms(ours.median)}"]
    if factor < bar:
        parts[0] += f", needs {_ms(other.median / bar)}"
    parts += [stages_text(ours), more]
    return Verdict(what, wanted, here, factor >= bar, "; ".join(part for part in parts if part))


def _allowed(alone: Figure | None) -> str:
    """The network's share of what the machine allows, as text."""
    if alone is None or "limit_share" not in alone.facts:
        return ""
    facts = alone.facts
    text = f"the network runs at {facts['limit_share']:.0%} of what the machine allows ({facts['limit']})"
    in_fp32 = "fp32" in facts.get("engine", "")
    return text + (", in fp32: this CPU has no bf16 instructions" if in_fp32 else "")


def _views(figures: Sequence[Figure], has_bf16: bool) -> Verdict:
    ours, peer, before = _of_subjects(figures, "views", MAIN)
    verdict = _faster(f"3x10 views of one video, {MAIN}", VIEWS_BAR, ours, peer, before, has_bf16)
    frames = ours.facts["frames_decoded"] if ours else None
    here = f"{verdict.here}, {frames} frames decoded" if verdict.here else ""
    return Verdict(verdict.what, verdict.bar + ", decoded once", here, verdict.holds, verdict.limit)


def _long(figures: Sequence[Figure]) -> list[Verdict]:
    bar = f"≥ {LONG_BAR:.0%} of inference alone, or of decoding alone"
    verdicts = []
    for figure in figures:
        if figure.group == "long" and figure.subject == "twinpath":
            slower, share = share_of_slower(figure)
            what, here = f"a window a second, {figure.what}", f"{share:.0%} of {slower} alone"
            verdicts.append(Verdict(what, bar, here, share >= LONG_BAR, _alone_text(figure, "window")))
    return verdicts or [Verdict("a long video, a window a second", bar, "", None)]


def share_of_slower(figure: Figure) -> tuple[str, float]:
    """Which of inference and decoding alone is slower, and the figure's speed as a share of its speed."""
    scale = figure.facts.get("clips", figure.facts["windows"]) / figure.facts["windows"]
    alone = {"inference": figure.facts["infer_alone_s"], "decoding": figure.facts["decode_alone_s"]}
    slower = max(alone, key=lambda name: alone[name])
    return slower, scale * alone[slower] / figure.median


def _alone_text(figure: Figure, unit: str) -> str:
    """Decoding and inference share the cores: decoding is hidden only where a core is idle."""
    facts, count = figure.facts, figure.facts["windows"]
    infer_s, decode_s = facts["infer_alone_s"] / count, facts["decode_alone_s"] / count
    core_s = (facts["infer_core_s"] + facts["decode_core_s"]) / count
    text = (
        f"a {unit} takes {_ms(figure.median / facts.get('clips', count))}; alone, inference takes "
        f"{_ms(infer_s)} and decoding {_ms(decode_s)}"
    )
    if cores := facts["cores"]:
        text += f"; their {_ms(core_s)} of CPU time take {_ms(core_s / cores)} of {cores} cores"
    return text


def _folder(figures: Sequence[Figure], has_bf16: bool) -> Verdict:
    figure = next((f for f in figures if f.group == "folder" and f.subject == "twinpath"), None)
    wanted = f"≥ {FOLDER_BAR:g}x before" if has_bf16 else AS_BEFORE_TEXT
    if figure is None:
        return Verdict(f"a folder of short clips, {FAST}", wanted, "", None)
    before = find(figures, "folder", figure.what, "before")
    here = f"{figure.facts['clips'] / figure.median:.1f} clips a second"
    holds = None
    if before is not None:
        factor = before.median / figure.median
        here += f", {before.facts['clips'] / before.median:.1f} before: {factor:.2f}x"
        holds = factor >= (FOLDER_BAR if has_bf16 else AS_BEFORE)
    return Verdict(f"a folder, {figure.what}", wanted, here, holds, _alone_text(figure, "clip"))


def _memory(figures: Sequence[Figure]) -> Verdict:
    what, bar = "memory, {1} minutes against {0}".format(*MEMORY_MINUTES), f"≤ +{MEMORY_BAR - 1:.0%}"
    short, long = (find(figures, "memory", f"{m} minutes", "twinpath") for m in MEMORY_MINUTES)
    if short is None or long is None:
        return Verdict(what, bar, "", None)
    growth = long.median / short.median
    limit = "" if growth <= MEMORY_BAR else f"{_mib(short.median)} became {_mib(long.median)}"
    return Verdict(what, bar, f"{growth - 1:+.1%}", growth <= MEMORY_BAR, limit)


def _large(figures: Sequence[Figure]) -> list[Verdict]:
    """Memory follows what the network takes of a picture, not the picture's size."""
    return [
        *(_small(figures, picture_label(codec), PICTURE_BAR_GB, PICTURE_BAR_S) for codec in PICTURE_CODECS),
        _small(figures, large_video_label(), LARGE_VIDEO_BAR_GB),
    ]


def _small(figures: Sequence[Figure], what: str, bar_gb: float, bar_s: float = inf) -> Verdict:
    bar = f"< {bar_gb:g} GB" + (f", < {bar_s:g} s" if bar_s < inf else "")
    figure = find(figures, "memory", what, "twinpath")
    if figure is None:
        return Verdict(f"memory, {what}", bar, "", None)
    peak_gb, wall_s = figure.median / 1e9, figure.facts["wall_s"]
    here = f"{peak_gb:.2f} GB, {wall_s:.1f} s"
    return Verdict(f"memory, {what}", bar, here, peak_gb < bar_gb and wall_s < bar_s)


def _agreement(figures: Sequence[Figure]) -> list[Verdict]:
    bar = f"same top 1, scores within {SCORES_BAR}"
    verdicts = []
    for figure in figures:
        if figure.group == "agreement" and figure.subject == "torch":
            same, clips, off = figure.facts["same_top_1"], figure.facts["clips"], max(figure.values)
            holds = same == clips and off < SCORES_BAR
            what = f"agreement with fp32, {figure.what}"
            verdicts.append(Verdict(what, bar, f"{same} of {clips}, within {off:.5f}", holds))
    return verdicts or [Verdict("agreement with fp32", bar, "", None)]


def _people(figures: Sequence[Figure]) -> Verdict:
    """All boxes of a clip share the feature maps; only ROIAlign and the head are computed for each."""
    what, bar = f"actions of 5 people against 1, {DETECTION}", f"≤ +{PEOPLE_BAR - 1:.0%}"
    one, five = (find(figures, "detection", people_label(n), "twinpath") for n in PEOPLE)
    if one is None or five is None:
        return Verdict(what, bar, "", None)
    growth = five.median / one.median
    limit = "" if growth <= PEOPLE_BAR else f"{_ms(one.median)} became {_ms(five.median)}"
    return Verdict(what, bar, f"{growth - 1:+.1%}", growth <= PEOPLE_BAR, limit)


def _gpu(figures: Sequence[Figure]) -> Verdict:
    what, bar = f"on a GPU, {MAIN}: compiled bf16 against eager fp32", f"≥ {GPU_BAR:g}x"
    plain = find(figures, "gpu", f"{MAIN}, eager fp32", "torch")
    compiled = find(figures, "gpu", f"{MAIN}, compiled bf16", "torch")
    if plain is None or compiled is None:
        return Verdict(what, bar, "", None)
    factor = plain.median / compiled.median
    return Verdict(what, bar, f"{factor:.1f}x", factor >= GPU_BAR)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"

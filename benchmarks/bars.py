"""The bars for speed, memory and agreement, and whether a run meets them.

The bars are ratios to PyTorchVideo 0.1.5, eager and in float32, measured in the same run on the same CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.commands import MEMORY_MINUTES, TUTORIAL
from benchmarks.figures import Figure, Subject, find
from benchmarks.networks import DETECTION, EMBEDDED, MAIN, NETWORKS, Network
from benchmarks.warm import PEOPLE, people_label

COMMAND_BAR, COMMAND_AIM = 4.0, 5.5
EMBEDDED_BAR_S = 1.2
VIEWS_BAR = 4.0
LONG_BAR = 0.9
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
        limit: Where the bar is not met, what takes the time.
    """

    what: str
    bar: str
    here: str
    holds: bool | None
    limit: str = ""


def judge(figures: Sequence[Figure]) -> list[Verdict]:
    """Every bar, in the order of the report."""
    return [
        _embedded(figures),
        _command(figures),
        *(_clip(figures, net) for net in NETWORKS.values()),
        *(_network(figures, net) for net in NETWORKS.values()),
        _views(figures),
        *_long(figures),
        _memory(figures),
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


def _embedded(figures: Sequence[Figure]) -> Verdict:
    what, bar = f"new process, `classify`, {EMBEDDED}", f"< {EMBEDDED_BAR_S} s"
    figure = find(figures, "cold", EMBEDDED, "twinpath")
    if figure is None:
        return Verdict(what, bar, "", None)
    holds = figure.median < EMBEDDED_BAR_S
    return Verdict(what, bar, f"{figure.median:.2f} s", holds, "" if holds else stages_text(figure))


def _command(figures: Sequence[Figure]) -> Verdict:
    what = f"new process, `classify` against the tutorial, {MAIN}"
    ours, theirs = (
        find(figures, "cold", MAIN, "twinpath"),
        find(figures, "cold", TUTORIAL, "pytorchvideo"),
    )
    return _faster(what, COMMAND_BAR, COMMAND_AIM, ours, theirs)


def _clip(figures: Sequence[Figure], net: Network) -> Verdict:
    ours = find(figures, "clip", net.name, "twinpath")
    theirs = find(figures, "clip", net.name, "pytorchvideo")
    alone = find(figures, "network", net.name, "twinpath")
    return _faster(
        f"warm process, one clip, {net.name}", net.clip_bar, net.clip_aim, ours, theirs, _share(alone)
    )


def _network(figures: Sequence[Figure], net: Network) -> Verdict:
    ours = find(figures, "network", net.name, "twinpath")
    theirs = find(figures, "network", net.name, "pytorchvideo")
    return _faster(f"network alone, {net.name}", net.network_bar, None, ours, theirs, _share(ours))


def _faster(
    what: str, bar: float, aim: float | None, ours: Figure | None, theirs: Figure | None, more: str = ""
) -> Verdict:
    wanted = f"≥ {bar:g}x" + (f", aim {aim:g}x" if aim else "")
    if ours is None or theirs is None:
        return Verdict(what, wanted, "", None)
    factor = theirs.median / ours.median
    if factor >= bar:
        return Verdict(what, wanted, f"{factor:.1f}x", True)
    parts = [f"takes {_ms(ours.median)}, needs {_ms(theirs.median / bar)}", stages_text(ours), more]
    return Verdict(what, wanted, f"{factor:.2f}x", False, "; ".join(part for part in parts if part))


def _share(alone: Figure | None) -> str:
    """The network's share of the machine's peak, as text."""
    if alone is None or "share" not in alone.facts:
        return ""
    text = f"the network runs at {alone.facts['share']:.0%} of the measured matrix-product peak"
    in_fp32 = "fp32" in alone.facts.get("engine", "")
    return text + (", in fp32: this CPU has no bf16 instructions" if in_fp32 else "")


def _views(figures: Sequence[Figure]) -> Verdict:
    ours = find(figures, "views", MAIN, "twinpath")
    theirs = find(figures, "views", MAIN, "pytorchvideo")
    verdict = _faster(f"3x10 views of one video, {MAIN}", VIEWS_BAR, None, ours, theirs)
    frames = ours.facts["frames_decoded"] if ours else None
    here = f"{verdict.here}, {frames} frames decoded" if verdict.here else ""
    return Verdict(verdict.what, verdict.bar + ", decoded once", here, verdict.holds, verdict.limit)


def _long(figures: Sequence[Figure]) -> list[Verdict]:
    bar = f"≥ {LONG_BAR:.0%} of inference alone"
    found = [figure for figure in figures if figure.group == "long"]
    verdicts = []
    for figure in found:
        facts = figure.facts
        holds = facts["share"] >= LONG_BAR
        limit = "" if holds else _long_limit(figure)
        verdicts.append(
            Verdict(f"a window a second, {figure.what}", bar, f"{facts['share']:.0%}", holds, limit)
        )
    return verdicts or [Verdict("a long video, a window a second", bar, "", None)]


def _long_limit(figure: Figure) -> str:
    """Decoding and inference share the cores: decoding is hidden only where a core is idle."""
    decode_s, infer_s = figure.facts["decode_alone_s"], figure.facts["infer_alone_s"]
    windows = figure.facts["windows"]
    return (
        f"a window takes {_ms(figure.median / windows)}; alone, inference takes {_ms(infer_s / windows)} of "
        f"all cores and decoding {_ms(decode_s / windows)} of one, which together exceed the cores"
    )


def _memory(figures: Sequence[Figure]) -> Verdict:
    what, bar = "memory, {1} minutes against {0}".format(*MEMORY_MINUTES), f"≤ +{MEMORY_BAR - 1:.0%}"
    short, long = (find(figures, "memory", f"{m} minutes", "twinpath") for m in MEMORY_MINUTES)
    if short is None or long is None:
        return Verdict(what, bar, "", None)
    growth = long.median / short.median
    limit = "" if growth <= MEMORY_BAR else f"{_mib(short.median)} became {_mib(long.median)}"
    return Verdict(what, bar, f"{growth - 1:+.1%}", growth <= MEMORY_BAR, limit)


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

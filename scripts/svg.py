"""A drawing on a card of its own, light or dark as the reader's system is, so that it reads on any page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Points = Sequence[tuple[float, float]]

_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2430 }
.small { font-size: 11.5px } .head { font-size: 15px; font-weight: 600 } .dim { fill: #5c6472 }
.card { fill: #fbfbfd; stroke: #d5d9e2 } .plain { fill: #e9ecf2; stroke: #9aa3b5 }
.slow { fill: #3b6fd4; stroke: none } .fast { fill: #e07b39; stroke: none }
.both { fill: #7a5cc4; stroke: none }
.ok { fill: #2e9e6b; stroke: none } .faint { opacity: .28 }
.line { fill: none; stroke: #7b8496; stroke-width: 1.4 }
.slowline { fill: none; stroke: #3b6fd4; stroke-width: 2 }
.fastline { fill: none; stroke: #e07b39; stroke-width: 2 }
.bothline { fill: none; stroke: #7a5cc4; stroke-width: 2 }
.onto { fill: #ffffff }
@media (prefers-color-scheme: dark) {
text { fill: #e6e8ee } .dim { fill: #a5adbd } .card { fill: #20242e; stroke: #3a4150 }
.plain { fill: #343b4a; stroke: #6b7487 } .slow { fill: #6c9bf5 } .fast { fill: #f09a5f }
.both { fill: #a58cf0 } .ok { fill: #4cc38a }
.line { stroke: #98a1b3 } .slowline { stroke: #6c9bf5 } .fastline { stroke: #f09a5f }
.bothline { stroke: #a58cf0 } .onto { fill: #10131a }
}
"""


class Drawing:
    """Shapes of an SVG, in the order in which they are drawn.

    Args:
        width, height: In pixels.
        title: What it shows, for those who cannot see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts: list[str] = []
        self.box(0.5, 0.5, width - 1, height - 1, "card", radius=10)

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """One line; `anchor` is start, middle or end."""
        self._add(f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(
        self, x: float, y: float, width: float, height: float, kind: str, *, radius: float = 0, note: str = ""
    ) -> None:
        """A rectangle; `note` appears under the pointer."""
        inner = f"<title>{escape(note)}</title></rect>" if note else "</rect>"
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}"'
        self._add(f'<rect {place} class="{kind}">{inner}')

    def path(self, points: Points, kind: str = "line", *, arrow: bool = False) -> None:
        """Straight lines from point to point."""
        d = "M" + " L".join(f"{round(x, 1):g} {round(y, 1):g}" for x, y in points)
        end = ' marker-end="url(#arrow)"' if arrow else ""
        self._add(f'<path d="{d}" class="{kind}"{end}/>')

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        """A disc."""
        self._add(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{kind}"/>')

    def svg(self) -> str:
        """The whole file."""
        arrow = (
            '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#8a93a5"/></marker>'
        )
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img">'
        first = [
            head,
            f"<title>{escape(self.title)}</title>",
            f"<style>{_STYLE}</style>",
            f"<defs>{arrow}</defs>",
        ]
        return "\n".join([*first, *self._parts, "</svg>", ""])

    def _add(self, part: str) -> None:
        self._parts.append(part)

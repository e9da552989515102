"""`twinpath` without arguments: four roads, and the first command of each."""

from __future__ import annotations

from twinpath.cli.console import print_line

ROADS = """\
Twinpath recognises human actions in video.

You have a video and a question.                       docs/roads/video.md
  twinpath classify VIDEO          what happens in it?
  twinpath timeline VIDEO          when?
  twinpath detect VIDEO            who does what, and where?

You want it to know your own actions.                  docs/roads/own_actions.md
  twinpath finetune FOLDER         a subfolder of videos for each action

You build a product, or search an archive.             docs/roads/product.md
  twinpath classify FOLDER --json --isolate --out FILE
  twinpath stream CAMERA --json

You do research.                                       docs/roads/research.md
  twinpath models list             networks and published weights
  twinpath train RECIPE --dry-run

`twinpath demo` shows it on a drawn video, without a download.
`twinpath --help` lists the commands, `twinpath COMMAND --help` explains one.
"""


def show_roads() -> None:
    """Print them."""
    for line in ROADS.splitlines():
        print_line(line)

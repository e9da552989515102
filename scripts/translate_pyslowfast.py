"""Every configuration of PySlowFast's repository, as a recipe of ours or with the reason why not.

python -m scripts.translate_pyslowfast CHECKOUT          a checkout of facebookresearch/SlowFast
python -m scripts.translate_pyslowfast CHECKOUT --json   what tests/golden/rules/pyslowfast_configs.json holds

Prints the network, its parameters and the learning rate at six moments, from 0 to 95 % of the epochs; or the
reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twinpath.errors import ConfigError
from twinpath.train.dry_run import network_without_values
from twinpath.train.optimization.schedule import learning_rate, scaled_to_batch
from twinpath.train.pyslowfast.translate import translate
from twinpath.train.sections import ScheduleSection

_SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.95)


def main() -> None:
    """Print the table."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    as_json = "--json" in sys.argv
    lines, count = [], 0
    for row, schedule in table(Path(sys.argv[1])):
        count += schedule is not None
        if as_json:
            lines.append(json.dumps(row))
        elif schedule is None:
            print(f"{row['config']:52} {row['reason']}")
        else:
            rates = "  ".join(f"{learning_rate(schedule, s * schedule.epochs):.2e}" for s in _SHARES)
            print(f"{row['config']:52} {row['network']:26} {row['parameters'] / 1e6:7.2f} M  {rates}")
    print("[\n" + ",\n".join(lines) + "\n]" if as_json else f"{count} are translated")


def table(checkout: Path) -> Iterator[tuple[dict[str, Any], ScheduleSection | None]]:
    """A row for each configuration, by name; and the schedule of those that are translated."""
    for path in sorted(checkout.rglob("*.yaml")):
        row: dict[str, Any] = {"config": str(path.relative_to(checkout).with_suffix(""))}
        try:
            recipe = translate(path).recipe
        except ConfigError as error:
            reason = str(error).removeprefix(str(path)).lstrip(":, ")
            yield {**row, "status": "refused", "reason": reason}, None
            continue
        parameters = sum(p.numel() for p in network_without_values(recipe).parameters())
        found = {"network": recipe.model.network, "parameters": parameters}
        schedule = scaled_to_batch(recipe.schedule, recipe.run.batch_size)
        yield {**row, "status": "translated", **found}, schedule


if __name__ == "__main__":
    main()

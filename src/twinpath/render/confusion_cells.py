"""What a picture of a confusion matrix shows, for the page and the PNG: classes, and strengths of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CLASSES = 50
_FAINTEST = 0.14  # of a cell with a clip


@dataclass(frozen=True, eq=False)
class ConfusionCells:
    """The shown part of a confusion matrix.

    Attributes:
        indices: Of the K shown classes, in the order of the labels.
        counts: (K, K) clips by true class (row) and answer (column).
        totals: (K,) clips of each true class, those with an answer that is not shown included.
        hidden: How many classes that occur or were answered are not shown.
    """

    indices: tuple[int, ...]
    counts: NDArray[np.int64]
    totals: NDArray[np.int64]
    hidden: int

    @classmethod
    def of(cls, confusion: tuple[tuple[int, ...], ...], most: int = MOST_CLASSES) -> ConfusionCells:
        """The classes that occur or were answered; of many those with the most mistakes."""
        counts = np.asarray(confusion, np.int64)
        both = counts.sum(axis=0) + counts.sum(axis=1)
        there = np.flatnonzero(both)
        wrong = (both - 2 * counts.diagonal())[there]
        chosen = np.sort(there[np.argsort(-wrong, kind="stable")[:most]])
        shown = counts[np.ix_(chosen, chosen)]
        return cls(tuple(chosen.tolist()), shown, counts.sum(axis=1)[chosen], len(there) - len(chosen))

    def strength(self, row: int, column: int) -> float:
        """0 to 1: how strongly a cell is coloured, by its share of the clips of the row."""
        if not self.counts[row, column]:
            return 0.0
        return _FAINTEST + (1 - _FAINTEST) * float(self.counts[row, column] / self.totals[row])


def frequent_confusions(confusion: tuple[tuple[int, ...], ...], most: int) -> list[tuple[int, int, int]]:
    """(count, true class, answer) of the most frequent wrong answers."""
    counts = np.asarray(confusion, np.int64)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, counts.shape)
    return [
        (int(counts[r, c]), int(r), int(c)) for r, c in zip(rows, columns, strict=True) if counts[r, c] > 0
    ]

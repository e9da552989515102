"""A linear classifier on the embeddings of a frozen network: a new last layer for it. NumPy and SciPy.

    head = fit_linear(features, targets, folds, is_multi_label=False)
    head.scores_of(features)               # (N, C), the mean over views, as a classification computes it
    head.weight, head.bias                 # (C, D), (C,): the last layer of the network
    head.out_of_fold                       # (N, C): each clip scored by a fit that has not seen its fold

Multinomial logistic regression with an L2 penalty on standardised features; for several labels a clip one
logistic regression a class. How strong the penalty is, is found by cross-validation; a temperature makes
scores fit how often they are right. Both, and the standardisation, are folded into the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import MissingExtra, TrainingDiverged

Floats = NDArray[np.floating]

#: Weight of the data against the penalty, for features of standard deviation 1 (C of other libraries).
STRENGTHS = (1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
_TEMPERATURES = (0.05, 20.0)
_MOST_ITERATIONS = 300  # the weakest of penalties would go on for long and gain nothing
_MISSING = "fine-tuning needs SciPy; install it with: pip install 'twinpath[train]'"
_CERTAIN = 30.0  # a logit
_LEAST_STD = 1e-6  # below it a feature is constant


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A last layer.

    Attributes:
        weight: (C, D) float32.
        bias: (C,) float32.
        is_multi_label: Whether scores are sigmoids; else a softmax.
        strength: Weight of the data against the penalty, see `STRENGTHS`.
        temperature: By which logits were divided; it is in the weights already.
        out_of_fold: (N, C) float32: scores of each clip by fits without its fold, each with the strength and
            temperature that the other folds chose. NaN where a clip was in no fold.
        log_loss_by_strength: Of the clips out of fold, before the temperature.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    is_multi_label: bool
    strength: float
    temperature: float = 1.0
    out_of_fold: NDArray[np.float32] | None = None
    log_loss_by_strength: tuple[tuple[float, float], ...] = ()

    def scores_of(self, features: Floats) -> NDArray[np.float32]:
        """Scores of clips, as `classify` computes them: the mean over views.

        Args:
            features: (N, V, D) of V views, or (N, D).
        Returns:
            (N, C) in 0 to 1.
        """
        logits = _by_views(features) @ self.weight.T.astype(np.float64) + self.bias
        return mean_scores(logits, is_multi_label=self.is_multi_label).astype(np.float32)


def fit_linear(
    features: Floats,
    targets: NDArray[np.bool_],
    folds: NDArray[np.integer] | None = None,
    *,
    scored: Floats | None = None,
    is_multi_label: bool = False,
    strengths: Sequence[float] = STRENGTHS,
) -> LinearHead:
    """Fit a last layer to all clips, and tell how it does on clips that it has not seen.

    Args:
        features: (N, V, D): embeddings of V views of each clip; or (N, D).
        targets: (N, C): the classes of each clip, one unless `is_multi_label`.
        folds: (N,): the fold of each clip, at least two different ones; -1: always in training. None: there
            is nothing to choose with, and the middle one of `strengths` is taken.
        scored: (N, V', D): the views by which clips are scored out of fold, where not all that are learned
            from: mirrored ones, for example.
        is_multi_label: Whether a clip may have several classes, or none.
        strengths: To choose from.
    Raises:
        MissingExtra: SciPy is not installed.
        TrainingDiverged: A feature is NaN or infinite.
    """
    views = _by_views(features)
    if not np.isfinite(views).all():
        raise TrainingDiverged("the features of some clips are NaN or infinite; the weights may be damaged")
    views_scored = views if scored is None else _by_views(scored)
    data = _Rows(views, views_scored, np.asarray(targets, dtype=bool), is_multi_label)
    with _one_thread():
        return _fitted(data, folds, strengths)


def _one_thread() -> AbstractContextManager[Any]:
    """Matrices are small: threads would only wait for each other, and add in another order each time."""
    try:
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        raise MissingExtra(_MISSING) from error
    return threadpool_limits(limits=1)  # type: ignore[no-any-return]


def _fitted(data: _Rows, folds: NDArray[np.integer] | None, strengths: Sequence[float]) -> LinearHead:
    views = data.views
    if folds is None:
        return data.fit(np.ones(len(views), dtype=bool), [strengths[len(strengths) // 2]])[0]
    tried = _cross_validated(data, np.asarray(folds), strengths)
    best = _best_strength(tried, data, np.asarray(folds) >= 0)
    temperature = _temperature(tried[best], data, np.asarray(folds) >= 0)
    head = data.fit(np.ones(len(views), dtype=bool), strengths[: list(strengths).index(best) + 1])[-1]
    return replace(
        head,
        weight=(head.weight / temperature).astype(np.float32),
        bias=(head.bias / temperature).astype(np.float32),
        temperature=temperature,
        out_of_fold=_out_of_fold(tried, data, np.asarray(folds)),
        log_loss_by_strength=tuple(
            (strength, data.log_loss(tried[strength], np.asarray(folds) >= 0)) for strength in strengths
        ),
    )


def mean_scores(logits_NVC: Floats, *, is_multi_label: bool) -> NDArray[np.float64]:
    """(N, V, C) logits to (N, C) scores: activated, then averaged over views, as `aggregate_views` does."""
    logits = np.asarray(logits_NVC, dtype=np.float64)
    if is_multi_label:
        return (1 / (1 + np.exp(-np.clip(logits, -500, 500)))).mean(axis=1)  # type: ignore[no-any-return]
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (exponentials / exponentials.sum(axis=-1, keepdims=True)).mean(axis=1)  # type: ignore[no-any-return]


class _Rows:
    """The clips to learn from."""

    def __init__(
        self,
        views_NVD: NDArray[np.float64],
        scored_NVD: NDArray[np.float64],
        targets: NDArray[np.bool_],
        is_multi_label: bool,
    ) -> None:
        self.views, self.scored = views_NVD, scored_NVD
        self.targets, self.is_multi_label = targets, is_multi_label

    def fit(self, clips: NDArray[np.bool_], strengths: Sequence[float]) -> list[LinearHead]:
        """Fit to some clips with each strength, from weak to strong penalties or the other way.

        Every view is a row, and the views of a clip count as one.
        """
        views, targets = self.views[clips], self.targets[clips]
        rows = views.reshape(-1, views.shape[-1])
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        std = np.where(std > _LEAST_STD, std, np.inf)
        space, back = _row_space((rows - mean) / std)
        regression = _Regression(space, targets, views.shape[1], self.is_multi_label)
        heads = []
        for strength in strengths:
            weight, bias = regression.fit(strength)
            weight = weight @ back / std
            bias = bias - weight @ mean
            heads.append(
                LinearHead(weight.astype(np.float32), bias.astype(np.float32), self.is_multi_label, strength)
            )
        return heads

    def logits(self, head: LinearHead, clips: NDArray[np.bool_]) -> NDArray[np.float64]:
        """(n, V', C) of some clips."""
        return self.scored[clips] @ head.weight.T.astype(np.float64) + head.bias

    def log_loss(self, logits_NVC: Floats, clips: NDArray[np.bool_], temperature: float = 1.0) -> float:
        """Mean negative log-likelihood of the scores of some clips.

        As if one clip more had been wrong: N clips that are all right do not prove that the next one is.
        Source: Platt 1999, Probabilistic Outputs for Support Vector Machines, section 2.2: (N + 1) / (N + 2).
        """
        scores = mean_scores(logits_NVC[clips] / temperature, is_multi_label=self.is_multi_label)
        scores, truth = np.clip(scores, 1e-12, 1 - 1e-12), self.targets[clips]
        wrong = 1 / (len(truth) + 2)
        if self.is_multi_label:
            target = np.where(truth, 1 - wrong, wrong)
            return float(-(target * np.log(scores) + (1 - target) * np.log1p(-scores)).mean())
        target = np.where(truth, 1 - wrong, wrong / max(truth.shape[1] - 1, 1))
        return float(-(target * np.log(scores)).sum(axis=1).mean())


def _row_space(rows_ND: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates (N, R) of rows in the space that they span, and its axes (R, D): rows = coordinates @ axes.

    Weights with an L2 penalty lie in that space. With fewer rows than features it is the smaller one.
    """
    count, dims = rows_ND.shape
    if count >= dims:
        return rows_ND, np.eye(dims)
    squares, directions = np.linalg.eigh(rows_ND @ rows_ND.T)
    kept = squares > max(squares[-1], 1.0) * 1e-12
    lengths = np.sqrt(squares[kept])
    coordinates = directions[:, kept] * lengths
    return coordinates, (directions[:, kept] / lengths).T @ rows_ND


class _Regression:
    """Logistic regression with an L2 penalty: multinomial, or of each class by itself.

    Classes count equally, however many clips they have. Each fit begins where the one before has ended.

    Args:
        rows_ND: Of views; those of a clip follow each other.
        targets: (clips, C).
        num_views: Of each clip.
        is_multi_label: Whether each class is told from all others by itself.
    """

    def __init__(
        self, rows_ND: NDArray[np.float64], targets: NDArray[np.bool_], num_views: int, is_multi_label: bool
    ) -> None:
        self._rows, self._num_views, self._is_multi_label = rows_ND, num_views, is_multi_label
        truth, count = np.repeat(targets, num_views, axis=0), len(rows_ND)
        positives = truth.sum(axis=0)
        self._bias = np.where(positives > 0, _CERTAIN, -_CERTAIN)  # where there is nothing to fit
        self._is_fitted = (positives > 0) & (positives < count)
        truth, positives = truth[:, self._is_fitted], positives[self._is_fitted]
        self._truth = truth.astype(np.float64)
        if is_multi_label:
            self._share = np.where(truth, 0.5 / positives, 0.5 / (count - positives))
        else:
            self._share = (truth / np.maximum(positives, 1)).sum(axis=1, keepdims=True)
            self._share /= max(len(positives), 1)
        self._found = np.zeros((len(positives), rows_ND.shape[1] + 1))

    def fit(self, strength: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(C, D) weights and (C,) biases. A class without a clip is never the answer."""
        try:
            from scipy.optimize import minimize
        except ModuleNotFoundError as error:
            raise MissingExtra(_MISSING) from error
        penalty = self._num_views / (strength * len(self._rows))
        if self._is_fitted.any():
            options = {"maxiter": _MOST_ITERATIONS, "gtol": 1e-5, "ftol": 1e-8, "maxls": 50}
            flat = minimize(
                self._loss, self._found.ravel(), (penalty,), method="L-BFGS-B", jac=True, options=options
            ).x
            self._found = flat.reshape(self._found.shape)
        weight, bias = np.zeros((len(self._bias), self._rows.shape[1])), self._bias.copy()
        weight[self._is_fitted], bias[self._is_fitted] = self._found[:, :-1], self._found[:, -1]
        return weight, bias

    def _loss(self, flat: NDArray[np.float64], penalty: float) -> tuple[float, NDArray[np.float64]]:
        """The loss and its slopes."""
        found = flat.reshape(self._found.shape)
        weights_CD, truth = found[:, :-1], self._truth
        logits_NC = self._rows @ weights_CD.T + found[:, -1]
        if self._is_multi_label:
            losses = np.logaddexp(0.0, logits_NC) - truth * logits_NC
            scores = np.exp(-np.logaddexp(0.0, -logits_NC))
        else:
            highest = logits_NC.max(axis=1, keepdims=True)
            exponentials = np.exp(logits_NC - highest)
            total = exponentials.sum(axis=1, keepdims=True)
            losses = np.log(total) + highest - (truth * logits_NC).sum(axis=1, keepdims=True)
            scores = exponentials / total
        slope_NC = self._share * (scores - truth)
        value = (self._share * losses).sum() + penalty / 2 * (weights_CD**2).sum()
        slopes = np.column_stack([slope_NC.T @ self._rows + penalty * weights_CD, slope_NC.sum(axis=0)])
        return float(value), slopes.ravel()


def _cross_validated(
    data: _Rows, folds: NDArray[np.integer], strengths: Sequence[float]
) -> dict[float, NDArray[np.float64]]:
    """For each strength the (N, V', C) logits of every clip out of its fold; NaN for those in none."""
    num_clips, num_views, _ = data.scored.shape
    logits = {s: np.full((num_clips, num_views, data.targets.shape[1]), np.nan) for s in strengths}
    for fold in np.unique(folds[folds >= 0]):
        held_out = folds == fold
        for strength, head in zip(strengths, data.fit(~held_out, strengths), strict=True):
            logits[strength][held_out] = data.logits(head, held_out)
    return logits


def _best_strength(tried: dict[float, NDArray[np.float64]], data: _Rows, clips: NDArray[np.bool_]) -> float:
    """The one with the least log-loss, at its own best temperature: how sure scores are is set by that."""
    return min(tried, key=lambda s: data.log_loss(tried[s], clips, _temperature(tried[s], data, clips)))


def best_temperature(logits_NVC: Floats, targets_NC: NDArray[np.bool_], *, is_multi_label: bool) -> float:
    """By which logits are best divided, so that scores fit how often they are right.

    Args:
        logits_NVC: Of V views of each of N clips.
        targets_NC: The classes of each clip.
        is_multi_label: Whether a clip may have several.
    """
    views = np.asarray(logits_NVC, dtype=np.float64)
    data = _Rows(views, views, np.asarray(targets_NC, dtype=bool), is_multi_label)
    return _temperature(views, data, np.ones(len(views), dtype=bool))


def _temperature(logits: Floats, data: _Rows, clips: NDArray[np.bool_]) -> float:
    try:
        from scipy.optimize import minimize_scalar
    except ModuleNotFoundError as error:
        raise MissingExtra(_MISSING) from error

    low, high = np.log(_TEMPERATURES)
    found = minimize_scalar(
        lambda log_t: data.log_loss(logits, clips, float(np.exp(log_t))), bounds=(low, high), method="bounded"
    )
    return float(np.exp(found.x))


def _out_of_fold(
    tried: dict[float, NDArray[np.float64]], data: _Rows, folds: NDArray[np.integer]
) -> NDArray[np.float32]:
    """(N, C) scores; what is chosen for a fold is chosen by the clips of the others."""
    scores = np.full(data.targets.shape, np.nan, dtype=np.float32)
    for fold in np.unique(folds[folds >= 0]):
        held_out, others = folds == fold, (folds >= 0) & (folds != fold)
        strength = _best_strength(tried, data, others)
        logits = tried[strength][held_out] / _temperature(tried[strength], data, others)
        scores[held_out] = mean_scores(logits, is_multi_label=data.is_multi_label)
    return scores


def _by_views(features: Floats) -> NDArray[np.float64]:
    """(N, V, D) float64."""
    array = np.asarray(features, dtype=np.float64)
    return array[:, None] if array.ndim == 2 else array

"""Estimates the share of good answers from a person's labels on some of them and a judge's verdicts on all.

A judge errs, and its rate errs with it. The labels say by how much, so that the rate can be corrected, and the interval
is narrower than that of the labels alone where the judge agrees with the person. It holds whatever the judge is worth.

Sources: prediction-powered inference with a tuned weight λ (Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453), and
Wilson's interval (1927, doi:10.1080/01621459.1927.10502953) for the number of labels that would have told as much: the
normal one holds in less than 90 of 100 samples where 19 of 20 answers are good and 60 are labelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from preceptor.errors import TooFewLabels

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

LEAST_LABELS = 60
"""Fewest labels for which the coverage of the interval was tried."""
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated share with its interval of 95 %, all in [0, 1]."""

    share: float
    low: float
    high: float


def estimate(labels: Sequence[bool], verdicts: Sequence[float], others: Sequence[float]) -> Estimate:
    """Estimates the share of good answers to questions such as these.

    Args:
        labels: Whether each labelled answer is good, as a person says; the answers were drawn by chance.
        verdicts: Whether the judge calls the same answers good, from 0 to 1; all alike if there is no judge.
        others: Its verdicts on the answers without a label.

    Raises:
        TooFewLabels: There are less than `LEAST_LABELS`.
        ValueError: There is not one verdict for each label.
    """
    if len(labels) < LEAST_LABELS:
        raise TooFewLabels(len(labels), LEAST_LABELS)
    if len(labels) != len(verdicts):
        raise ValueError(f"{len(labels)} labels, but {len(verdicts)} verdicts on the same answers")
    # Here and not above: the command line starts without it.
    import numpy as np

    share, low, high = intervals(*(np.asarray(one, dtype=np.float64) for one in (labels, verdicts, others)))
    return Estimate(float(share), float(low), float(high))


def intervals(
    labels: "NDArray[float64]", verdicts: "NDArray[float64]", others: "NDArray[float64]"
) -> "tuple[NDArray[float64], NDArray[float64], NDArray[float64]]":
    """Returns the estimates with the ends of their intervals, (…), for many samples at a time.

    Args:
        labels: (…, labelled) 1 for good, 0 for bad.
        verdicts: (…, labelled) the judge's, from 0 to 1.
        others: (…, not labelled) the judge's on the rest.
    """
    import numpy as np

    n, more = labels.shape[-1], others.shape[-1]
    # Half a made-up answer in each cell of label and verdict: a judge that agreed with the first 60 labels throughout
    # is not taken to agree with all that will come.
    mean_label, mean_verdict = (labels.sum(-1) + 1) / (n + 2), (verdicts.sum(-1) + 1) / (n + 2)
    of_labels = (labels.sum(-1) + 1) / (n + 2) - mean_label**2
    of_verdicts = ((verdicts**2).sum(-1) + 1) / (n + 2) - mean_verdict**2
    together = ((labels * verdicts).sum(-1) + 0.5) / (n + 2) - mean_label * mean_verdict
    tuned = np.clip(together / of_verdicts * more / (more + n), 0, 1)
    rest = others.mean(-1) if more else np.zeros_like(mean_label)
    share = np.clip(labels.mean(-1) + tuned * (rest - verdicts.mean(-1)), 0, 1)
    variance = of_labels - 2 * tuned * together + tuned**2 * of_verdicts * (1 + n / more if more else 1)
    worth = n * of_labels / np.minimum(variance, of_labels)
    middle = share + _Z**2 / (2 * worth)
    half = _Z * np.sqrt(share * (1 - share) / worth + (_Z / (2 * worth)) ** 2)
    return share, (middle - half) / (1 + _Z**2 / worth), (middle + half) / (1 + _Z**2 / worth)


def kappa(labels: Sequence[bool], verdicts: Sequence[bool]) -> float | None:
    """Returns Cohen's κ of two raters; None where one of them always says the same, so that nothing can be told.

    Source: Cohen 1960, doi:10.1177/001316446002000104.
    """
    if len({*labels}) < 2 or len({*verdicts}) < 2:
        return None
    cases = len(labels)
    agreed = sum(one == other for one, other in zip(labels, verdicts, strict=True)) / cases
    one, other = sum(labels) / cases, sum(verdicts) / cases
    by_chance = one * other + (1 - one) * (1 - other)
    return (agreed - by_chance) / (1 - by_chance)

"""The one-sided upper bound of Clopper and Pearson, exact for the binomial distribution."""

import math

CONFIDENCE = 0.95
_STEPS = 60  # of bisection: more than a float can tell apart


def upper_bound(hits: int, trials: int, confidence: float = CONFIDENCE) -> float:
    """Return the share that is exceeded with a probability of at most ``1 - confidence``; 1 if there were no trials.

    It is the share at which ``hits`` or fewer of ``trials`` would still come with the probability ``1 - confidence``.
    """
    if not 0 <= hits <= trials:
        raise ValueError("hits are a part of the trials")
    if hits == trials:
        return 1.0
    risk = 1 - confidence
    if hits == 0:
        return -math.expm1(math.log(risk) / trials)
    low, high = hits / trials, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _tail(hits, trials, middle) > risk:
            low = middle
        else:
            high = middle
    return high


def _tail(hits: int, trials: int, share: float) -> float:
    """Return the probability of ``hits`` or fewer."""
    if share >= 1:
        return 0.0
    log_share, log_rest = math.log(share), math.log1p(-share)
    terms = (_log_choices(trials, hit) + hit * log_share + (trials - hit) * log_rest for hit in range(hits + 1))
    return math.fsum(map(math.exp, terms))


def _log_choices(trials: int, hits: int) -> float:
    return math.lgamma(trials + 1) - math.lgamma(hits + 1) - math.lgamma(trials - hits + 1)

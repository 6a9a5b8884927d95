"""How far a policy's predictions are from the text and from full attention's."""

import numpy as np

CHUNK = 256  # predictions at once: bounds the memory of the logits
RESAMPLES, SEED = 400, 1  # of the bootstrap behind the median's standard error


def log_probabilities(hidden, output):
    scores = hidden @ output.T
    scores -= scores.max(axis=-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return scores


def compare(hidden, full, output, targets):
    """hidden and full: (T, hidden), normed; output: (vocabulary, hidden) -> what one policy's row of the table says."""
    loss, full_loss, kl, same = (np.empty(len(targets)) for _ in range(4))
    for begin in range(0, len(targets), CHUNK):
        part = slice(begin, begin + CHUNK)
        rows = np.arange(len(targets[part]))
        ours, theirs = log_probabilities(hidden[part], output), log_probabilities(full[part], output)
        loss[part], full_loss[part] = -ours[rows, targets[part]], -theirs[rows, targets[part]]
        same[part] = ours.argmax(axis=-1) == theirs.argmax(axis=-1)
        kl[part] = (np.exp(theirs) * (theirs - ours)).sum(axis=-1, dtype=np.float64)
    return summary(loss, full_loss, kl, same)


def standard_error(sample):
    return sample.std(ddof=1) / np.sqrt(len(sample))


def summary(loss, full_loss, kl, same):
    """Perplexities' errors by the delta method; the ratio's from paired differences."""
    perplexity, ratio = np.exp(loss.mean()), np.exp((loss - full_loss).mean())
    draws = np.random.default_rng(SEED).integers(0, len(kl), (RESAMPLES, len(kl)))
    values = {
        "perplexity": perplexity,
        "perplexity_se": perplexity * standard_error(loss),
        "perplexity_over_full": ratio,
        "perplexity_over_full_se": ratio * standard_error(loss - full_loss),
        "top1_agreement": same.mean(),
        "top1_agreement_se": standard_error(same),
        "kl_mean": kl.mean(),
        "kl_mean_se": standard_error(kl),
        "kl_median": np.median(kl),
        "kl_median_se": np.median(kl[draws], axis=1).std(ddof=1),
    }
    return {name: float(f"{value:.7g}") for name, value in values.items()}

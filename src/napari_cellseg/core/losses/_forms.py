"""What the losses share: a binary map and the map of classes in one form.

With one object type, the classes' forms equal those of a binary map whose logit is the type's logit
less the background's.
"""

from __future__ import annotations

from napari_cellseg.core._torch import torch

functional = torch.nn.functional


def regions(
    logits: torch.Tensor, target: torch.Tensor, name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return probabilities and truth of each kind of foreground, over the whole batch.

    Parameters
    ----------
    logits, target, name
        As for `Loss`.

    Returns
    -------
    probability, truth
        float32 ``(R, N)``: R is 1, or for ``"classes"`` the number of object types, background left
        out; N is the number of pixels of the batch.
    """
    logits = logits.float()
    if name != "classes":
        return torch.sigmoid(logits).reshape(1, -1), target.float().reshape(1, -1)
    probability = torch.softmax(logits, dim=1)
    truth = functional.one_hot(target[:, 0].long(), logits.shape[1]).movedim(-1, 1)
    return (
        probability[:, 1:].transpose(0, 1).flatten(1),
        truth[:, 1:].transpose(0, 1).flatten(1).float(),
    )


def log_probabilities(
    logits: torch.Tensor, target: torch.Tensor, name: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logarithms of each pixel's probability to be right and to be wrong.

    Both stay finite, and so do their gradients, for any finite logit.

    Parameters
    ----------
    logits, target, name
        As for `Loss`.

    Returns
    -------
    right, wrong
        ``log p_t`` and ``log(1 - p_t)``, float32 ``(B, 1, Y, X)``.
    """
    logits = logits.float()
    if name != "classes":
        toward = torch.where(target > 0, logits, -logits)
        return functional.logsigmoid(toward), functional.logsigmoid(-toward)
    index = target.long()
    whole = torch.logsumexp(logits, dim=1, keepdim=True)
    others = logits.scatter(1, index, -torch.inf)
    right = logits.gather(1, index) - whole
    return right, torch.logsumexp(others, dim=1, keepdim=True) - whole


def dice(
    probability: torch.Tensor, truth: torch.Tensor, above: float, below: float, power: int = 1
) -> torch.Tensor:
    """Return the soft Dice coefficient, mean over the rows of `regions`.

    Parameters
    ----------
    above, below
        Added to numerator and denominator, in pixels.
    power
        Exponent of the probabilities in the denominator; 2 gives Milletari et al. (2016).
    """
    overlap = (probability * truth).sum(1)
    size = probability.pow(power).sum(1) + truth.sum(1)
    return ((2 * overlap + above) / (size + below)).mean()

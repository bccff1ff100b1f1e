"""One answer from several sizes and both mirror images of what a network is asked about."""

import torch

from SpineSegmentationLib.headway import telling
from SpineSegmentationLib.labelling.variations import averaged


def test_answers_are_turned_back_and_averaged():
    """A network that sees something in the last half of the last axis alone."""
    asked, told = [], []

    def ask(*images):
        asked.append([tuple(image.shape[2:]) for image in images])
        halves = [torch.zeros(1, 2, *image.shape[2:]) for image in images]
        for answer in halves:
            answer[..., answer.shape[-1] // 2 :] = 1
        return halves

    with telling(told.append):
        side, volume = averaged(ask, torch.zeros(1, 1, 10, 20), torch.zeros(1, 1, 10, 10, 20), across=(False, True))
    assert asked == [[(n, 2 * n), (n, n, 2 * n)] for n in (9, 9, 10, 10, 11, 11)]
    assert side.shape == (1, 2, 10, 20) and volume.shape == (1, 2, 10, 10, 20)
    assert torch.all(side[..., :9] < 0.01) and torch.all(side[..., 11:] > 0.99)
    torch.testing.assert_close(volume, torch.full_like(volume, 0.5))
    assert len(told) == 6 and told[-1] == 1.0

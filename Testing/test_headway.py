"""How far a long computation is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from SpineSegmentationLib.headway import counted, portion, telling
from SpineSegmentationLib.labelling.payer import PayerLabeller


def work() -> None:
    """A quarter in two parts, the rest in three."""
    with portion(0, 0.25):
        for _ in counted("ab"):
            pass
    with portion(0.25, 1):
        for _ in counted("cde"):
            pass


def test_shares_of_portions_are_shares_of_the_whole():
    told: list[float] = []
    with telling(told.append):
        work()
    assert told == pytest.approx([0.125, 0.25, 0.5, 0.75, 1.0])
    # Nobody listens: nothing happens.
    work()
    assert len(told) == 5


def test_it_never_goes_back():
    told: list[float] = []
    with telling(told.append):
        work()
        work()
    assert told == sorted(set(told))


def test_the_listener_ends_a_computation():
    with pytest.raises(ZeroDivisionError), telling(lambda share: 1 / 0):
        work()


def test_payers_labeller_tells_after_every_part(monkeypatch):
    """Two parts of 256 mm cover 384 mm when they overlap by a half."""
    monkeypatch.setattr(PayerLabeller, "__init__", lambda self: None)
    labeller = PayerLabeller()
    labeller.spacing = 4.0
    labeller.runner = lambda compute, part: torch.zeros(1, 26, *part.shape[2:])
    told: list[float] = []
    with telling(told.append):
        assert not np.any(labeller.heatmaps(torch.zeros(96, 16, 16)))
    assert told == [0.5, 1.0]

"""Lessmann's traversal: from vertebra to vertebra along the column, with a memory of those seen (2019, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

from ..detection.lessmann import converge, first_fragment, sees_bone, windows
from ..detection.lessmann_patches import Ask, Fragment, Lattice
from ..spine import SpineBox

MOST = 30  # vertebrae: more than a column has, with fragments at both ends


def traverse(
    lattice: Lattice,
    ask: Ask,
    box: SpineBox,
    direction: int,
    settled: Callable[[Fragment], bool] = lambda fragment: True,
) -> list[Fragment]:
    """The vertebrae in the order in which they are met; those not wholly visible are among them.

    Ends on any input: a found vertebra adds to the memory and there are at most ``MOST``; the search, to which the
    traversal returns after another bone and when a patch shows no further fragment, only goes forwards. A fragment that
    is lost again does not move it on: the column may be beside it. After another bone the patch of the last vertebra is
    asked once more.

    Args:
        lattice: its memory holds all that was found afterwards.
        ask: the network.
        box: where the search puts patches, LPS mm; the column is followed beyond it.
        direction: ``detection.lessmann.UP`` or ``DOWN``; what the network was trained for.
        settled: called with each before the network is asked for the next one; says whether it is a vertebra. What is
            none is known from then on, but not followed.
    """
    found: list[Fragment] = []
    search = iter(windows(lattice, box, direction))
    fragment = first_fragment(lattice, ask, box, direction)
    last = None
    if fragment is not None:
        reached = fragment.middle[0]
    while fragment is not None and len(found) < MOST:
        whole = converge(lattice, ask, fragment.middle, direction)
        fragment = None
        if whole is not None:
            lattice.remember(whole)
            centre = whole.corner + lattice.patch // 2
            if settled(whole):
                found.append(whole)
                reached = centre[0]
                fragment = lattice.look(ask, centre)
                last = centre
            else:  # the column may be beside it
                reached = centre[0] - direction * lattice.patch // 2
                if last is not None:
                    fragment, last = lattice.look(ask, last), None
        while fragment is None and (ahead := next(search, None)) is not None:
            if (ahead[0] - reached) * direction > 0 and sees_bone(lattice, ahead):
                fragment = lattice.look(ask, ahead)
    return found

"""Small letters for pictures: the names of the vertebrae as pixels, without a font library."""

from __future__ import annotations

import numpy as np

HEIGHT = 7
_ROWS = """
.###. ##### #.... .###. ..#.. .###. .###. ...#. ##### .###. ##### .###. .###.
#...# ..#.. #.... #...# .##.. #...# #...# ..##. #.... #.... ....# #...# #...#
#.... ..#.. #.... #..## ..#.. ....# ....# .#.#. ####. #.... ...#. #...# #...#
#.... ..#.. #.... #.#.# ..#.. ...#. ..##. #..#. ....# ####. ..#.. .###. .####
#.... ..#.. #.... ##..# ..#.. ..#.. ....# ##### ....# #...# ..#.. #...# ....#
#...# ..#.. #.... #...# ..#.. .#... #...# ...#. #...# #...# ..#.. #...# ....#
.###. ..#.. ##### .###. .###. ##### .###. ...#. .###. .###. ..#.. .###. .###.
"""
_GLYPHS: dict[str, np.ndarray] = {
    letter: np.array([[pixel == "#" for pixel in row.split()[number]] for row in _ROWS.strip().splitlines()])
    for number, letter in enumerate("CTL0123456789")
}


def lettering(text: str, scale: int = 1) -> np.ndarray:
    """The text as a boolean picture, ``7 * scale`` rows high.

    Raises:
        KeyError: a letter that no vertebra has in its name.
    """
    gap = np.zeros((HEIGHT, 1), bool)
    columns = [part for letter in text for part in (_GLYPHS[letter], gap)][:-1]
    return np.kron(np.hstack(columns), np.ones((scale, scale), bool))

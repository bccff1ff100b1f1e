"""What a segment is called elsewhere, and which vertebra is meant by it."""

from __future__ import annotations

import re

from ..anatomy import SNOMED, SNOMED_VERTEBRA, Level

_LEVELS = {code: level for level, code in SNOMED.items()}

_SHORT = re.compile(r"(?<![A-Z0-9])(C0?[1-7]|TH?(?:1[0-3]|0?[1-9])|D(?:1[0-2]|0?[1-9])|L0?[1-6])(?![A-Z0-9])")
_GLUED = re.compile(r"VERTEBRAE?(C[1-7]|TH?(?:1[0-3]|[1-9])|L[1-6])(?![A-Z0-9])")
_REGION = r"(CERVICAL|THORACIC|DORSAL|LUMBAR)"
_COUNTED = re.compile(rf"{_REGION} (?:SPINE )?VERTEBRAE? (1[0-3]|[1-9])(?![0-9])")
_ORDINAL = re.compile(rf"(\w+) {_REGION} VERTEBRA")
_WORDS = ("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH", "SIXTH", "SEVENTH", "EIGHTH", "NINTH", "TENTH", "ELEVENTH")
_ORDINALS = {word: number for number, word in enumerate((*_WORDS, "TWELFTH", "THIRTEENTH"), 1)}
_ORDINALS |= {f"{n}{dict(enumerate(('ST', 'ND', 'RD'), 1)).get(n, 'TH')}": n for n in range(1, 14)}
_OTHER = re.compile(
    r"\b(DISCS?|DISKS?|DISCUS|IVDS?|INTERVERTEBRAL|ENDPLATES?|RIBS?|COSTA\w*|NERVES?|ROOTS?|GANGLIA|GANGLION|CORD|CANAL|"
    r"FORAM\w+|PEDICLES?|SCREWS?|CAGES?|IMPLANTS?|MUSCLES?|PSOAS|FAT|[SV]AT|AORTA|LESIONS?|TUMOU?RS?|FACETS?|"
    r"LIGAMENTS?|SACRUM|S[1-5])\b"
)
_BETWEEN = re.compile(r"[CTDL](\d+)\s*[-/\u2013]\s*(\d+)(?![A-Z0-9])")


def level_of_name(name: str) -> Level | None:
    """The vertebra that a segment's name means; None for everything else, such as discs, ribs and the sacrum.

    >>> level_of_name("vertebrae_L1"), level_of_name("Th12 vertebra"), level_of_name("Third lumbar vertebra")
    (<Level.L1: 20>, <Level.T12: 19>, <Level.L3: 22>)
    >>> level_of_name("disc L1-L2") is None
    True
    """
    words = " ".join(re.split(r"[\W_]+", name.upper())).strip()
    between = any(int(lower) == int(upper) + 1 for upper, lower in _BETWEEN.findall(name.upper()))
    if between or _OTHER.search(words):
        return None
    found = {_parsed(text) for text in (*_SHORT.findall(words), *_GLUED.findall(words))}
    found |= {_of_region(region, int(number)) for region, number in _COUNTED.findall(words)}
    found |= {_of_region(region, _ORDINALS[word]) for word, region in _ORDINAL.findall(words) if word in _ORDINALS}
    if not found and words in ("ATLAS", "AXIS"):
        return Level.C1 if words == "ATLAS" else Level.C2
    # Two names in one, as in "L1 L2", mean something between them.
    return found.pop() if len(found) == 1 else None


def _parsed(text: str) -> Level | None:
    match = re.match(r"([A-Z]+)0?(\d+)", text)
    return _of_region(match[1], int(match[2])) if match else None


def _of_region(region: str, number: int) -> Level | None:
    letter = "T" if region[0] in "TD" else region[0]
    return Level.__members__.get(f"{letter}{number}")


def level_of_code(scheme: str, value: str, meaning: str = "") -> Level | None:
    """The vertebra that a code means; the meaning decides where the code is only "Vertebra" or is not ours to know.

    Args:
        scheme: the coding scheme's designator, such as ``SCT``.
        value: the code.
        meaning: what it stands for, in words.
    """
    if scheme == "SCT" and value in _LEVELS:
        return _LEVELS[value]
    if scheme == "SCT" and value != SNOMED_VERTEBRA[0]:
        return None
    return level_of_name(meaning)


def level_of_terminology(entry: str) -> Level | None:
    """The vertebra of a terminology entry in Slicer's notation, ``context~category~type~modifier~...``.

    >>> level_of_terminology("any~SCT^123037004^Anatomical Structure~SCT^36470004^L3 vertebra~^^~~^^~^^")
    <Level.L3: 22>
    """
    parts = entry.split("~")
    for part in reversed(parts[2:4]):
        code = part.split("^")
        if len(code) == 3 and code[1] and (level := level_of_code(*code)) is not None:
            return level
    return None

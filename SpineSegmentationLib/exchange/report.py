"""What was found about an adopted segmentation, as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..io.values import numbering_json
from .adopt import Adopted
from .checks import Finding
from .verdict import Verdict


def adopted_json(adopted: Adopted, verdict: Verdict | None) -> dict[str, Any]:
    """Notes, findings and, if the names were compared, the verdict on them."""
    return {
        "notes": list(adopted.notes),
        "findings": _findings(adopted.findings),
        "verdict": None
        if verdict is None
        else {
            "sentence": verdict.sentence,
            "shift": verdict.shift,
            "agreeing": verdict.agreeing,
            "pairs": [[theirs.name, ours.name] for theirs, ours in verdict.pairs],
            "numbering": numbering_json(verdict.numbering) if verdict.numbering else None,
            "findings": _findings(verdict.findings),
        },
    }


def warnings_of(adopted: Adopted, verdict: Verdict | None) -> list[str]:
    """What a person should look at: the findings, and a verdict by which names are wrong, one line each."""
    differs = [verdict.sentence] if verdict and verdict.shift != 0 else []
    return [*differs, *(one.text for one in (*adopted.findings, *(verdict.findings if verdict else ())))]


def _findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [{"kind": one.kind, "levels": [level.name for level in one.levels], "text": one.text} for one in findings]

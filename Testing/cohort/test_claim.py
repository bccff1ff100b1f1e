"""One worker per scan, in one process and in several; a killed one blocks nobody."""

import subprocess
import sys

from SpineSegmentationLib.cohort.claim import Claim

HOLD = """
import sys
from pathlib import Path
from SpineSegmentationLib.cohort.claim import Claim
claim = Claim.take(Path(sys.argv[1]), "one")
print("held" if claim else "busy", flush=True)
sys.stdin.read()
"""


def holder(folder) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_claim_excludes_others_until_it_is_released(tmp_path):
    claim = Claim.take(tmp_path, "one")
    assert claim is not None and Claim.take(tmp_path, "one") is None
    other = Claim.take(tmp_path, "two")
    assert other is not None
    claim.release()
    claim.release()
    again = Claim.take(tmp_path, "one")
    assert again is not None
    again.release()
    other.release()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_holds_nothing(tmp_path):
    process = holder(tmp_path)
    try:
        assert process.stdout.readline() == "held\n"
        assert Claim.take(tmp_path, "one") is None
    finally:
        process.kill()
        process.communicate()
    assert (tmp_path / ".one.lock").exists()
    claim = Claim.take(tmp_path, "one")
    assert claim is not None
    claim.release()
    assert list(tmp_path.iterdir()) == []

"""Damaged files of every kind: read, or refused in one line; no traceback, no hang, no giant memory.

``FUZZ_RUNS`` damaged files of each kind (``make fuzz``: 10,000), from ``FUZZ_SEED`` on; what goes wrong is put into
the folder ``FUZZ_KEEP``.
"""

import os
import signal

import numpy as np
import pytest
from mutations import mutated, seeds

from SpineSegmentationLib.errors import SpineError

RUNS, SEED = int(os.environ.get("FUZZ_RUNS", "25")), int(os.environ.get("FUZZ_SEED", "0"))
HANGS = 60
"""Seconds after which a small file counts as a hang."""

KINDS = (
    *("nii", "nii.gz packed", "nii, version 2", "nrrd", "nrrd packed", "mha", "dicom", "dicom, many frames"),
    *("ctd.json", "F.mrk.json", "F.fcsv", "models.json", "safetensors"),
)


@pytest.fixture
def limited():
    """2 GiB of memory more than now, and an alarm for what hangs."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), limits[1]))

    def hung(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, hung)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the memory in use is not told here")
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(tmp_path, limited, kind):
    found = seeds(tmp_path)
    assert set(found) == set(KINDS)
    path, reader = found[kind]
    whole = path.read_bytes()
    reader(path)
    rng = np.random.default_rng(SEED)
    wrong = []
    for number in range(RUNS):
        data = mutated(whole, rng)
        path.write_bytes(data)
        signal.alarm(HANGS)
        try:
            reader(path)
        except SpineError as error:
            assert "\n" not in str(error)
        except Exception as error:
            if kept := os.environ.get("FUZZ_KEEP"):
                with open(os.path.join(kept, f"{kind.replace(' ', '_')}-{number}"), "wb") as file:
                    file.write(data)
            wrong.append(f"file {number} of seed {SEED}: {error!r}")
        finally:
            signal.alarm(0)
    assert not wrong

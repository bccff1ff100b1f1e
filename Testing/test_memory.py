"""How much memory work takes beside the scan; each measured in a process of its own."""

import subprocess
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from SpineSegmentationLib import allocator
from SpineSegmentationLib.allocator import return_freed
from SpineSegmentationLib.networks.blocks import Decoder, Encoder, joined

ROOT = Path(__file__).resolve().parents[1]

MEASURED = """
import os, resource, tempfile
import numpy as np, SimpleITK as sitk
from SpineSegmentationLib.allocator import return_freed, return_large_blocks
from SpineSegmentationLib.io.writing import write_part
from SpineSegmentationLib.parts import filled
from SpineSegmentationLib.resampling import resample
from SpineSegmentationLib.spine import SpineBox

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

{work}
"""

RESAMPLED = """
scan = sitk.Image([256, 256, 800], sitk.sitkInt16)  # 100 MiB
resample(scan[:32, :32, :32], 4.0)
before = peak()
resample(scan, 4.0)
resample(scan, 4.0, SpineBox((5, 5, 5), (240, 240, 780)))
print(peak() - before)
"""

WRITTEN = """
scan = sitk.Image([256, 256, 800], sitk.sitkInt16)
part = sitk.Image([20, 20, 40], sitk.sitkUInt8) + 1
folder = tempfile.TemporaryDirectory()
write_part(part, scan[:32, :32, :32], os.path.join(folder.name, "small.nii.gz"))
before = peak()
write_part(part, scan, os.path.join(folder.name, "label_map.nii.gz"))  # 50 MiB
print(peak() - before)
"""

RETURNED = """
{before}
block = np.ones(31 << 20, np.uint8)
del block
before = resident()
blocks = [np.ones(20 << 20, np.uint8) for _ in range(4)]
last = np.ones(20 << 20, np.uint8)
del blocks
{after}
print(resident() - before)
"""


def measured(work: str) -> float:
    """MiB that the work prints."""
    if not sys.platform.startswith("linux"):
        pytest.skip("memory is counted in other units here")
    code = MEASURED.format(work=work)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("work", [RESAMPLED, WRITTEN], ids=["resampling", "writing"])
def test_neither_scan_nor_label_map_is_copied(work):
    assert measured(work) < 25


@pytest.mark.parametrize(
    "before, after", [("return_large_blocks()", ""), ("", "return_freed()"), ("", "return_freed(above=1)")]
)
def test_what_is_freed_goes_back_to_the_system(before, after):
    # The last of five blocks of 20 MiB is in use.
    assert measured(RETURNED.format(before=before, after=after)) < 30


def test_a_small_process_keeps_what_it_freed(monkeypatch):
    trimmed: list[int] = []
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: SimpleNamespace(malloc_trim=trimmed.append))
    monkeypatch.setattr(allocator, "_resident", lambda: 100)
    return_freed(above=100)
    assert trimmed == []
    return_freed(above=99)
    return_freed()
    assert trimmed == [0, 0]


def test_networks_let_go_of_what_they_have_used():
    torch.manual_seed(0)
    encoder, decoder = Encoder(2, 1, (4, 6, 8)), Decoder(2, 8, (4, 6), (4, 6))
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        *skips, bottom = encoder(image)
        whole = bottom
        for number in (1, 0):
            finer = torch.nn.functional.interpolate(decoder.reduce[number](whole), scale_factor=2.0, mode="bilinear")
            whole = decoder.convolve[number](torch.cat([finer, skips[number]], 1))
        joined, seen = [weakref.ref(skip) for skip in skips], []
        last = decoder.convolve[0][0]
        last[0].register_forward_pre_hook(lambda layer, given: seen.append(weakref.ref(given[0])))
        last[1].register_forward_pre_hook(lambda layer, given: seen.append([one() for one in (*joined, seen[0])]))
        assert torch.equal(decoder(bottom, skips), whole)
    assert seen[1] == [None, None, None]


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last_3d])
def test_what_is_joined_needs_no_copy_in_the_convolution_after_it(order):
    torch.manual_seed(0)
    features = torch.rand(1, 6, 2, 3, 4).bfloat16().contiguous(memory_format=order)
    skip, other = torch.rand(1, 4, 4, 5, 8), torch.rand(1, 2, 4, 5, 8)
    both = joined(features, [skip], [other])
    finer = torch.nn.functional.interpolate(features, scale_factor=2.0, mode="trilinear")[..., :5, :]
    assert torch.equal(both, torch.cat([finer, skip.bfloat16(), other.bfloat16()], 1))
    assert both.is_contiguous(memory_format=order)

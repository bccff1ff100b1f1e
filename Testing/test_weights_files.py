"""Weights: written whole, found, checked by SHA-256, loaded into the architecture they belong to."""

import json

import pytest
import torch
from torch import nn

from SpineSegmentationLib import weights
from SpineSegmentationLib.errors import SpineError


class Small(nn.Module):
    def __init__(self, width="compact"):
        super().__init__()
        self.layer = nn.Linear(3, {"compact": 2, "paper": 5}[width])
        self.register_buffer("count", torch.tensor(7))


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path / "nowhere", tmp_path))
    torch.manual_seed(0)
    network = Small("paper")
    weights.save(network, "small", "paper", tmp_path)
    return network


def test_weights_come_back_as_they_were(saved, tmp_path):
    network, found = weights.load("small", Small, torch.device("cpu"))
    assert found.width == "paper" and found.path == tmp_path / "small.safetensors"
    largest = float(saved.layer.weight.detach().abs().max())
    torch.testing.assert_close(network.layer.weight, saved.layer.weight, atol=largest / 62 + 1e-6, rtol=0)
    assert network.layer.weight.dtype == torch.float32
    assert network.count == 7
    assert not network.training


def test_saving_another_keeps_the_first(saved, tmp_path):
    weights.save(Small(), "other", "compact", tmp_path)
    assert weights.find("small").width == "paper"
    assert weights.find("other").width == "compact"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["models.json", "other.safetensors", "small.safetensors"]


def test_a_committee_has_the_members_that_are_registered(saved, tmp_path):
    names = [weights.member("small", number) for number in (1, 2, 3)]
    assert names == ["small", "small-2", "small-3"]
    assert len(weights.load_committee("small", Small, torch.device("cpu"))) == 1
    for name in names[:0:-1]:
        weights.save(Small(), name, "compact", tmp_path)
    found = weights.load_committee("small", Small, torch.device("cpu"))
    assert [one.name for _, one in found] == names
    (tmp_path / "small-2.safetensors").unlink()
    with pytest.raises(SpineError, match=r"small-2\.safetensors: the weights are missing"):
        weights.load_committee("small", Small, torch.device("cpu"))


def test_a_changed_byte_is_refused(saved, tmp_path):
    path = tmp_path / "small.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(SpineError, match=r"small\.safetensors: wrong checksum"):
        weights.find("small")


def test_missing_weights_are_named(saved, tmp_path):
    with pytest.raises(SpineError, match="no weights named large; known are small"):
        weights.find("large")
    (tmp_path / "small.safetensors").unlink()
    with pytest.raises(SpineError, match=r"small\.safetensors: the weights are missing"):
        weights.find("small")
    (tmp_path / "models.json").unlink()
    with pytest.raises(SpineError, match="the list of weights is missing"):
        weights.find("small")


def test_weights_of_another_architecture_are_refused_in_one_line(saved, tmp_path):
    registry = json.loads((tmp_path / "models.json").read_text())
    registry["small"]["width"] = "compact"
    (tmp_path / "models.json").write_text(json.dumps(registry))
    with pytest.raises(SpineError, match="do not fit Small") as error:
        weights.load("small", Small, torch.device("cpu"))
    assert "\n" not in str(error.value)


def test_something_that_is_no_safetensors_file_is_refused(saved, tmp_path):
    import hashlib

    path = tmp_path / "small.safetensors"
    path.write_bytes(b"\x80\x04 a pickle, perhaps")
    registry = {"small": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "width": "paper"}}
    (tmp_path / "models.json").write_text(json.dumps(registry))
    with pytest.raises(SpineError, match="do not fit"):
        weights.load("small", Small, torch.device("cpu"))


def test_a_preferred_folder_comes_first_and_is_checked_as_always(saved, tmp_path):
    own = tmp_path / "own"
    weights.save(saved, "small", "paper", own)
    weights.save(Small(), "other", "compact", tmp_path)
    with weights.preferring(own):
        assert weights.find("small").path == own / "small.safetensors"
        assert weights.find("other").path == tmp_path / "other.safetensors"
        (own / "small.safetensors").write_bytes(b"else")
        with pytest.raises(SpineError, match="wrong checksum"):
            weights.find("small")
    assert weights.find("small").path == tmp_path / "small.safetensors"
    with pytest.raises(SpineError, match="give a folder that train wrote"), weights.preferring(tmp_path / "none"):
        pass

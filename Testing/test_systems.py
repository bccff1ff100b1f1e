"""Which systems can be chosen, and what is said of those that cannot."""

import json

import pytest

from SpineSegmentationLib import registry, systems
from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.systems import SYSTEMS, System


def test_only_systems_whose_weights_are_there_are_offered():
    assert not any(system.missing() for system in SYSTEMS.values())
    assert all(system.missing() for system in systems.UNTRAINED.values())
    assert not SYSTEMS.keys() & systems.UNTRAINED.keys()


def test_a_system_without_weights_says_so(monkeypatch):
    monkeypatch.setitem(systems.UNTRAINED, "raw", System("anduin", "anduin", "anduin", ("raw-network",)))
    with pytest.raises(SpineError, match=r"system 'raw' has no weights here yet \(raw-network\); choose combined,"):
        Pipeline("raw", "cpu")


def test_weights_that_somebody_trained_make_a_system_complete(tmp_path, monkeypatch):
    monkeypatch.setitem(systems.UNTRAINED, "raw", System("anduin", "anduin", "anduin", ("raw-network",)))
    with pytest.raises(SpineError, match="no weights here yet"):
        Pipeline("raw", "cpu", weights=tmp_path)
    (tmp_path / registry.REGISTRY).write_text(json.dumps({"raw-network": {}}))
    assert Pipeline("raw", "cpu", weights=tmp_path).system == "raw"


def test_weights_that_are_registered_are_not_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "FOLDERS", (tmp_path / "nowhere", tmp_path))
    system = System("a", "a", "a", ("one", "two"))
    assert system.missing() == ("one", "two")
    (tmp_path / registry.REGISTRY).write_text(json.dumps({"two": {}}))
    assert system.missing() == ("one",)
    (tmp_path / registry.REGISTRY).write_text("not a registry")
    assert registry.names() == frozenset()

"""A real scene, and in it a synthetic spine that was segmented."""

import pytest


@pytest.fixture
def scene():
    from scenes import new_scene

    return new_scene()


@pytest.fixture
def volume(scene):
    from scenes import add_volume
    from segmented import CT

    return add_volume(scene, CT, "CT of a spine")


@pytest.fixture
def logic(scene):
    from SpineSegmentationLib.scene.logic import SpineLogic

    logic = SpineLogic(scene, device="cpu")
    yield logic
    logic.close()


@pytest.fixture
def result(logic, volume):
    import standins
    from segmented import FOUND

    result = logic.process(volume, system="standin")
    assert [vertebra.level for vertebra in logic.vertebrae(result)] == FOUND
    standins.CALLS.clear()
    return result

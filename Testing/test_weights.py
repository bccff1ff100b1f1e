"""The weights of the repository on a synthetic CT that they have not seen: from the command to the scores."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from SpineSegmentationLib import cli, weights
from SpineSegmentationLib.anatomy import Level
from SpineSegmentationLib.evaluation.metrics import labelling_scores, segmentation_scores
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.values import read_centroids
from SpineSegmentationLib.phantom import PhantomSpec, make_phantom
from SpineSegmentationLib.pipeline import Pipeline
from SpineSegmentationLib.results.outputs import write_phantom

pytestmark = pytest.mark.skipif(
    not any((folder / weights.REGISTRY).is_file() for folder in weights.FOLDERS),
    reason="no weights in Resources/Models yet; train them, see CONTRIBUTING.md",
)


def test_the_weights_are_small_and_documented():
    place = weights.folder()
    registry = json.loads((place / weights.REGISTRY).read_text())
    found = [weights.find(name) for name in registry]
    assert {f"anduin-{stage}" for stage in ("detection", "labelling", "segmentation")} <= registry.keys()
    assert sum(one.path.stat().st_size for one in found) < 24e6
    for one in found:
        card = json.loads((place / f"{one.name}.json").read_text())
        assert card["sha256"] == one.sha256 and {"date", "seed", "licence"} <= card.keys()


def test_a_synthetic_lumbar_spine_from_file_to_scores(tmp_path):
    spec = PhantomSpec(seed=987_654, first=Level.T12, last=Level.L5, margin=25.0, noise=20.0)
    phantom = make_phantom(spec, (1.2, 1.2, 1.5))
    path = write_phantom(phantom, tmp_path / "in", "lumbar")
    assert cli.main(["segment", str(path), "--output", str(tmp_path), "--device", "cpu", "--quiet"]) == 0

    complete = [level for level in phantom.centroids.levels if level.rank >= Level.T12.rank]
    found = read_centroids(tmp_path / "lumbar_seg-subreg_ctd.json", read_ct(path).image)
    names = labelling_scores(phantom.centroids.only(complete), found)
    masks = segmentation_scores(phantom.label_map, sitk.ReadImage(str(tmp_path / "lumbar_seg-vert_msk.nii.gz")))
    assert names.id_rate >= 0.8
    assert sum(masks.dice[level] for level in complete) / len(complete) >= 0.8


@pytest.mark.parametrize("last", [Level.C5, Level.C7])
def test_necks_cut_at_both_ends_are_named(last):
    """Five people, no thorax in view: once all of them were named one off from C4 down."""
    for seed in range(900_001, 900_006):
        spec = PhantomSpec(seed=seed, first=Level.C1, last=last, margin=12.0, field=(130.0, 140.0), noise=20.0)
        phantom = make_phantom(spec, (1.0, 1.0, 1.5))
        complete = [level for level in phantom.centroids.levels if level.rank <= last.rank]
        found = Pipeline(device="cpu").run(phantom.ct, until="labelling").centroids
        names = labelling_scores(phantom.centroids.only(complete), found)
        assert names.id_rate == 1 and names.d_mean < 4, seed


@pytest.mark.parametrize(("first", "last"), [(Level.C1, Level.T2), (Level.T11, Level.L2)])
def test_a_small_noisy_view_of_a_landmark_is_named_and_segmented(first, last):
    """The usual cropped spine CT, the next vertebrae cut: here the dens tells the level, there the last ribs."""
    spec = PhantomSpec(seed=900_001, first=first, last=last, margin=12.0, field=(130.0, 140.0), noise=20.0)
    phantom = make_phantom(spec, (1.0, 1.0, 1.5))
    complete = [level for level in phantom.centroids.levels if first.rank <= level.rank <= last.rank]
    segmented = complete[:3]
    result = Pipeline(device="cpu").run(phantom.ct, only=segmented)
    names = labelling_scores(phantom.centroids.only(complete), result.centroids)
    assert names.id_rate == 1 and names.d_mean < 6
    masks = segmentation_scores(phantom.label_map, result.label_map)
    assert np.mean([masks.dice[level] for level in segmented]) > 0.85
    assert max(masks.mixing.values()) < 0.1


@pytest.mark.parametrize("hu", [-1000, 0])
def test_air_and_water_show_no_spine(hu):
    image = sitk.Image([60, 60, 90], sitk.sitkInt16) + hu
    image.SetSpacing((3.0, 3.0, 3.0))
    result = Pipeline(device="cpu").run(image)
    assert result.box is None and not result.centroids and "no spine was found" in result.warnings[0]

"""Many scans in one process: each ends once, whatever happens to it and to the others."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import standins
from small_cohort import Watching, order_in, scans_in

from SpineSegmentationLib.cohort import processor as processors
from SpineSegmentationLib.cohort.batch import run_batch
from SpineSegmentationLib.cohort.claim import Claim
from SpineSegmentationLib.cohort.order import Order
from SpineSegmentationLib.cohort.processor import Job, Processor, jobs_of
from SpineSegmentationLib.cohort.shard import Shard
from SpineSegmentationLib.io.ct import read_ct
from SpineSegmentationLib.io.writing import write_image
from SpineSegmentationLib.pipeline import Pipeline


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> list[Job]:
    return scans_in(tmp_path_factory.mktemp("scans"), "anna", "bert", "carl")


@pytest.fixture
def order(tmp_path) -> Order:
    return order_in(tmp_path / "out")


@pytest.fixture
def processor(order) -> Processor:
    return Processor(order)


@pytest.fixture
def watcher() -> Watching:
    return Watching()


def names_in(folder) -> list[str]:
    return sorted(path.name.removesuffix("_run.json") for path in folder.glob("*_run.json"))


@pytest.mark.parametrize("overlap", [False, True])
def test_every_scan_is_done_once_and_as_alone(processor, three, watcher, order, overlap):
    outcomes = run_batch(processor, three, watcher, overlap)
    assert [outcome.found for outcome in outcomes] == ["T11", "T11 T12", "T11 T12 L1"]
    assert watcher.lines[0] == "begun anna" and sorted(watcher.lines) == sorted(
        f"{word} {job.name}" for job in three for word in ("begun", "done")
    )
    assert names_in(order.output) == ["anna", "bert", "carl"]
    assert not list(order.output.glob(".*"))
    for job in three:
        alone = Pipeline("standin", "cpu").run(read_ct(job.path).image).label_map
        written = sitk.ReadImage(str(order.output / f"{job.name}_seg-vert_msk.nii.gz"))
        assert np.array_equal(sitk.GetArrayFromImage(alone), sitk.GetArrayFromImage(written))


def test_reading_and_writing_overlap_the_computation(processor, three, watcher, monkeypatch):
    """While the second scan is computed, the first one is being written and the third one read."""
    both = threading.Barrier(3, timeout=30)
    meet = {("compute", "bert"), ("write", "anna"), ("read", "carl")}

    def meeting(step, name_of):
        original = getattr(Processor, step)

        def wrapped(self, what, *more):
            if (step, name_of(what)) in meet:
                both.wait()
            return original(self, what, *more)

        monkeypatch.setattr(Processor, step, wrapped)

    meeting("read", lambda job: job.name)
    meeting("compute", lambda open: open.job.name)
    meeting("write", lambda open: open.job.name)
    assert {outcome.status for outcome in run_batch(processor, three, watcher)} == {"done"}


def test_what_is_done_is_skipped_by_content(processor, three, watcher, order):
    run_batch(processor, three[:1], watcher)
    standins.CALLS.clear()
    [outcome] = run_batch(processor, three[:1], watcher)
    assert outcome.status == "skipped" and outcome.content is not None and not standins.CALLS


def test_results_of_another_scan_or_another_way_are_no_reason_to_skip(processor, three, watcher, order, tmp_path):
    mine = Job(tmp_path / "anna.nii.gz", "anna")
    write_image(standins.spine_ct(2), mine.path)
    run_batch(processor, three[:1], watcher)
    [outcome] = run_batch(processor, [mine], watcher)
    assert outcome.status == "failed" and "another scan" in outcome.reason and "--overwrite" in outcome.reason
    [outcome] = run_batch(Processor(replace(order, force=True)), three[:1], watcher)
    assert outcome.status == "failed" and "other options" in outcome.reason
    [outcome] = run_batch(Processor(replace(order, overwrite=True)), [mine], watcher)
    assert outcome.found == "T11 T12"


def test_results_of_other_weights_are_no_reason_to_skip(processor, three, watcher, order, monkeypatch):
    run_batch(processor, three[:1], watcher)
    monkeypatch.setattr(standins.Labeller, "name", "segmentation")
    [outcome] = run_batch(Processor(order), three[:1], watcher)
    assert outcome.status == "failed" and "other weights for labelling" in outcome.reason


def test_a_failed_scan_is_tried_once_more_when_the_others_are_through(processor, three, watcher, order, monkeypatch):
    read, failures = processors.read_ct, []

    def failing(path, **options):
        if path.name.startswith(("anna", "bert")) and failures.count(path) < (2 if path == three[1].path else 1):
            failures.append(path)
            raise OSError(5, "Input/output error")
        return read(path, **options)

    monkeypatch.setattr(processors, "read_ct", failing)
    outcomes = run_batch(processor, three, watcher)
    assert watcher.lines == [
        "again anna",
        "again bert",
        "begun carl",
        "done carl",
        "begun anna",
        "done anna",
        "failed bert",
    ]
    assert "unexpected OSError" in outcomes[-1].reason and "Input/output error" in outcomes[-1].traceback
    assert names_in(order.output) == ["anna", "carl"]


def test_a_scan_that_another_process_works_on_is_left_to_it(processor, three, watcher, order):
    claim = Claim.take(order.output, "bert")
    outcomes = run_batch(processor, three, watcher)
    assert watcher.lines[-1] == "busy bert" and outcomes[-1].reason == "another process is at it"
    claim.release()
    assert [outcome.status.value for outcome in run_batch(processor, three, watcher)] == ["skipped", "skipped", "done"]


def test_an_interruption_keeps_what_is_written_and_frees_the_rest(processor, three, watcher, order, monkeypatch):
    compute = Processor.compute

    def interrupted(self, open, progress):
        if open.job.name == "bert":
            raise KeyboardInterrupt
        return compute(self, open, progress)

    monkeypatch.setattr(Processor, "compute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_batch(processor, three, watcher)
    assert names_in(order.output) == ["anna"] and watcher.lines[-1] == "done anna"
    assert Claim.take(order.output, "carl") is not None


def test_shards_share_the_jobs(three):
    scans = [job.path for job in three]
    shares = [jobs_of(scans, Shard(number, 2)) for number in (1, 2)]
    assert sorted((job for share in shares for job in share), key=lambda job: job.name) == jobs_of(scans) == three

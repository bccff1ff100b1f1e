"""A cohort on a local Dask cluster, whose worker is killed in the middle of a scan: nothing is lost, nothing twice."""

import contextlib
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("distributed")

import standins
from distributed import WorkerPlugin
from small_cohort import order_in, scans_in

from SpineSegmentationLib import cli
from SpineSegmentationLib.cohort.cluster import cluster, queue, run_on_cluster
from SpineSegmentationLib.cohort.processor import Job
from SpineSegmentationLib.cohort.shard import Shard
from SpineSegmentationLib.errors import SpineError


class Standins(WorkerPlugin):
    """Stand-in stages in every worker; the first one to name the vertebrae of any scan is killed at it, once."""

    name = "standins"

    def __init__(self, diary: Path) -> None:
        self.diary = diary

    def setup(self, worker) -> None:
        standins.install()
        diary = self.diary

        def begin(stage) -> None:
            with (diary / f"{stage.name}.txt").open("a") as file:
                file.write(f"{os.getpid()}\n")
            if stage.name == "labelling":
                try:
                    (diary / "killed").touch(exist_ok=False)
                except FileExistsError:
                    return
                os.kill(os.getpid(), signal.SIGKILL)

        standins._Stage.begin = begin


def test_a_killed_worker_loses_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    jobs = scans_in(tmp_path / "in", "anna", "bert", "carl")
    broken = Job(tmp_path / "in" / "dora.nii.gz", "dora")
    broken.path.write_bytes(b"no image")
    order = order_in(tmp_path / "out")
    ended = []
    with cluster(1, dashboard_address=None) as client:
        client.register_plugin(Standins(tmp_path))
        found = run_on_cluster(client, order, [*jobs, broken], ended.append, threads=1)
    assert (tmp_path / "killed").exists() and found == ended
    assert Counter((one.job.name, one.status.value) for one in found) == Counter(
        {("anna", "done"): 1, ("bert", "done"): 1, ("carl", "done"): 1, ("dora", "failed"): 1}
    )
    # Named once each, and once more where the worker died; by two processes in all.
    pids = (tmp_path / "labelling.txt").read_text().split()
    assert len(pids) == 4 and len(set(pids)) == 2
    for job in jobs:
        run = json.loads((order.output / f"{job.name}_run.json").read_text())
        assert run["input"]["path"] == str(job.path)
    assert not list(order.output.glob(".*"))


def test_jobs_of_a_queue_are_described_as_asked():
    pytest.importorskip("dask_jobqueue")
    with queue("slurm", {"cores": 4, "memory": "8GB", "queue": "gpu", "walltime": "04:00:00"}) as jobs:
        script = jobs.job_script()
    assert "#SBATCH -p gpu" in script and "#SBATCH --cpus-per-task=4" in script and "#SBATCH -t 04:00:00" in script
    with pytest.raises(SpineError, match="no job queue; known are"):
        queue("fax", {})
    with pytest.raises(SpineError, match="cannot be described"):
        queue("slurm", {"memory": "8GB"})


SBATCH = """#!/bin/sh
# Keeps the job it is given, and runs it at once.
cp "$1" "{folder}/job.sh"
PYTHONPATH="{path}" setsid sh "{folder}/job.sh" > "{folder}/job.log" 2>&1 &
echo $! > "{folder}/job.pid"
echo Submitted batch job 7
"""
SCANCEL = """#!/bin/sh
echo "$@" >> "{folder}/cancelled"
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no shell for the stand-in of a queue")
def test_workers_are_jobs_of_a_queue(tmp_path, monkeypatch, capsys):
    """From the command line to a worker that a stand-in of Slurm starts: the job, and what the worker made."""
    pytest.importorskip("dask_jobqueue")
    bin = tmp_path / "bin"
    bin.mkdir()
    root = Path(standins.__file__).parents[1]
    # Python imports this by itself: the worker knows the stages of the test.
    (bin / "sitecustomize.py").write_text("import standins\nstandins.install()\n")
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (bin / name).write_text(text.format(folder=tmp_path, path=f"{bin}:{root / 'Testing'}:{root}"))
        (bin / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}:{os.environ['PATH']}")
    (tmp_path / "in").mkdir()
    scans_in(tmp_path / "in", "anna", "bert")
    standins.install()
    words = ["cohort", tmp_path / "in", "--output", tmp_path / "out", "--system", "standin", "--jobqueue", "slurm"]
    job = ["--memory", "3GB", "--job", "queue=long", "walltime=00:30:00", "cores=1", f"local_directory={tmp_path}"]
    try:
        assert cli.main([*map(str, words), *job]) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int((tmp_path / "job.pid").read_text()), signal.SIGTERM)
    told = capsys.readouterr()
    assert [line.split(" -> ")[0] for line in sorted(told.out.splitlines())] == ["anna: T11", "bert: T11 T12"], told.err
    assert "dashboard http" in told.err
    lines = (tmp_path / "job.sh").read_text().splitlines()
    assert {"#SBATCH -p long", "#SBATCH --cpus-per-task=1", "#SBATCH --mem=3G", "#SBATCH -t 00:30:00"} <= set(lines)
    # One process with one thread, for the networks are held once.
    assert "--nthreads 1" in lines[-1] and "--nworkers" not in lines[-1]
    for name in ("anna", "bert"):
        assert (tmp_path / "out" / f"{name}_seg-vert_msk.nii.gz").exists()


def test_orders_and_outcomes_travel(tmp_path):
    import pickle

    order = replace(order_in(tmp_path / "out"), force=True)
    assert pickle.loads(pickle.dumps((order, Shard(1, 2)))) == (order, Shard(1, 2))

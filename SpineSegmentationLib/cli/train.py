"""``train``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import SpineError
from .arguments import count
from .batch import make_writable
from .console import OK, Console

ABOUT = "train the network of one stage; goes on where an interrupted training ended"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stage", choices=("detection", "labelling", "segmentation", "context"))
    parser.add_argument("--system", default="anduin")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="for checkpoints, weights and logs")
    parser.add_argument("--steps", type=count, required=True, metavar="N")
    parser.add_argument("--phantoms", type=count, default=0, metavar="N", help="synthetic scans to train on")
    parser.add_argument(
        "--verse", type=Path, nargs="+", default=[], metavar="DIR", help="data sets in the VerSe layout"
    )
    parser.add_argument("--shared", type=Path, metavar="DIR", help="a folder with ct/ and anatomy/")
    parser.add_argument(
        "--own-masks",
        type=Path,
        metavar="DIR",
        help="learn from masks of the scans of --shared, too; what is not in DIR is drawn and put there",
    )
    parser.add_argument(
        "--corrections", type=Path, metavar="DIR", help="fine-tune the shipped weights on reviewed or corrected results"
    )
    parser.add_argument(
        "--fine-tune", action="store_true", help="begin with the shipped weights in place of random ones"
    )
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="weights that train wrote, at hand before the shipped ones"
    )
    parser.add_argument("--width", choices=("compact", "paper"), default="compact")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--member", type=count, default=1, metavar="N", help="labelling: number of the network in the committee"
    )
    parser.add_argument(
        "--fold", metavar="K/N", help="cross-validation: leave out the K-th of N parts of the people of --shared"
    )
    parser.add_argument(
        "--final", action="store_true", help="learn from the validation cases, too: weights that they cannot judge"
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    try:
        from ..training.command import train_stage
        from ..training.folds import Fold
    except ImportError as error:
        raise SpineError(f"{error.name} is missing; pip install 'SpineSegmentationLib[train]'") from error

    make_writable(arguments.output)
    weights = train_stage(
        stage=arguments.stage,
        system=arguments.system,
        width=arguments.width,
        folder=arguments.output,
        steps=arguments.steps,
        seed=arguments.seed,
        device=arguments.device,
        phantoms=arguments.phantoms,
        verse=arguments.verse,
        shared=arguments.shared,
        own_masks=arguments.own_masks,
        member=arguments.member,
        corrections=arguments.corrections,
        fold=None if arguments.fold is None else Fold.parse(arguments.fold),
        final=arguments.final,
        fine_tune=arguments.fine_tune,
        start=arguments.weights,
        report=console.progress,
    )
    console.record({"status": "done", "files": [str(weights)]})
    console.result(f"weights -> {weights}")
    return OK

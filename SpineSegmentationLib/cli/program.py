"""The program: its commands, and how a call ends. Results go to standard output, all else to standard error.

Exit codes: 0 all fine; 1 some scans failed, the others are complete; 2 unusable call; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import re
import sys
from collections.abc import Sequence
from typing import NoReturn, Protocol

# A command imports what is heavy when it runs, so that --help is quick.
from .. import __version__
from ..allocator import return_large_blocks
from ..errors import SpineError
from . import adopt, apply_review, bids, cohort, demo, detect, evaluate, info, label, phantom, review, segment, train
from .console import INTERRUPTED, SOME_FAILED, UNUSABLE, Console


class Command(Protocol):
    """What the module of a command offers."""

    ABOUT: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace, console: Console) -> int: ...


COMMANDS: dict[str, Command] = {
    "segment": segment,
    "detect": detect,
    "label": label,
    "adopt": adopt,
    "cohort": cohort,
    "review": review,
    "apply-review": apply_review,
    "bids": bids,
    "evaluate": evaluate,
    "train": train,
    "phantom": phantom,
    "demo": demo,
    "info": info,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line (without the program's name) and returns the exit code.

    Raises:
        SystemExit: with code 2 for an unusable call, 0 for --help and --version.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser().parse_args(_with_joined_box(words), argparse.Namespace(words=words))
    console = Console(arguments.quiet, arguments.name, arguments.json)
    try:
        return arguments.command(arguments, console)
    except SpineError as error:
        console.message(f"error: {error}")
        console.record({"status": "failed", "error": str(error)})
        return UNUSABLE
    except KeyboardInterrupt:
        console.message("interrupted: what was finished is kept, the rest left out")
        return INTERRUPTED


def _with_joined_box(argv: Sequence[str]) -> list[str]:
    """``--box -1,...`` as ``--box=-1,...``: argparse would take the number for an option."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--box" and re.match(r"-[\d.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m SpineSegmentationLib",
        description="Detects, names and segments every vertebra in CT. For research; not a medical device.",
        epilog="Exit codes: 0 all fine, 1 some scans failed, 2 unusable call, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.ABOUT, description=command.ABOUT)
        sub.add_argument("--quiet", action="store_true", help="no progress; warnings and errors only")
        sub.add_argument("--json", action="store_true", help="results as JSON, an object a line; see docs/json.md")
        sub.set_defaults(command=command.run, name=name)
        command.add_arguments(sub)
    return parser


def run() -> None:
    """The entry point of the program."""
    return_large_blocks()
    for name in ("stdout", "stderr"):
        # What the shell closed would otherwise be the next file that is opened.
        setattr(sys, name, getattr(sys, name) or os.fdopen(os.open(os.devnull, os.O_RDWR), "w"))
    try:
        code = main()
    except OSError as error:
        # Whoever read the results has gone, or has no room for them; nothing more can be said to them.
        if not isinstance(error, BrokenPipeError):
            with contextlib.suppress(OSError):
                print(f"error: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr, flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = SOME_FAILED
    leave(code)


def leave(code: int) -> NoReturn:
    """Ends the program with everything said.

    Without the libraries' clean-up where nothing is left that needs it: their threads now and then abort a program
    that had done all its work (``terminate called without an active exception``).
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    if not multiprocessing.active_children():
        os._exit(code)
    sys.exit(code)

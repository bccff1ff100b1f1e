"""``review``."""

from __future__ import annotations

import argparse
import getpass
import webbrowser
from pathlib import Path

from .console import OK, Console

ABOUT = "a page in the browser on which a person checks all results of a folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the --output of segment")
    parser.add_argument("--reviewer", metavar="NAME", help="whose verdicts these are; by default who is logged in")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of the local address; by default a free one")
    parser.add_argument("--no-server", action="store_true", help="only write the page, to be opened as a file")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")


def run(arguments: argparse.Namespace, console: Console) -> int:
    from ..cohort.review.page import build
    from ..cohort.review.server import ReviewServer

    reviewer = arguments.reviewer or (getpass.getuser() if not arguments.no_server else "")
    page, problems = build(arguments.folder, reviewer)
    for problem in problems:
        console.message(f"warning: {problem}")
    if arguments.no_server:
        console.record({"status": "done", "files": [str(page)], "warnings": problems})
        console.result(str(page))
        return OK
    with ReviewServer(arguments.folder, arguments.port) as server:
        console.record({"files": [str(page)], "warnings": problems, "url": server.url})
        console.result(server.url)
        console.progress("verdicts are saved as they are given; Ctrl+C ends the review")
        if not arguments.no_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.message(f"ended; `apply-review {arguments.folder}` carries the verdicts out")
    return OK

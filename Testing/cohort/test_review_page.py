"""The page of a review in a real browser, with a thousand scans."""

import json
import shutil
import subprocess
import threading

import pytest
from small_cohort import many_in

from SpineSegmentationLib.cohort.review import verdicts
from SpineSegmentationLib.cohort.review.page import build
from SpineSegmentationLib.cohort.review.server import ReviewServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
COUNT = 1000
FOUND = "probe found "
PROBE = """<script>addEventListener("load", async () => {
    const press = async key => {
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        await new Promise(done => setTimeout(done, 50));
    };
    const choose = (id, value) => { at(id).value = value; at(id).dispatchEvent(new Event("input")); };
    const showing = () => [...document.querySelectorAll("#rows li:not([hidden]) b")].map(b => b.textContent);
    const widths = images => Promise.all(images.map(async image => {
        await image.decode();
        return image.naturalWidth;
    }));
    const found = {};
    try { await (async () => { /*STEPS*/ })(); } catch (error) { found.error = String(error); }
    console.log("probe found " + JSON.stringify(found));
});</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page in")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return many_in(tmp_path_factory.mktemp("many") / "out", COUNT)


def browse(address: str, profile) -> dict:
    """What the page says it found. In real time: a browser's virtual clock runs ahead of its pictures."""
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --window-size=1280,900 --enable-logging=stderr"
    command = [CHROMIUM, *flags.split(), f"--user-data-dir={profile}", address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as browser:
        overdue = threading.Timer(300, browser.kill)
        overdue.start()
        try:
            said = next(line for line in browser.stderr if FOUND in line)
        finally:
            overdue.cancel()
            browser.terminate()
    return json.loads(said[said.index(FOUND) + len(FOUND) : said.rindex('", source:')])


def probed(page, steps: str):
    page.write_text(page.read_text().replace("</body>", PROBE.replace("/*STEPS*/", steps) + "</body>"))
    return page


def test_a_page_of_a_thousand_scans_opened_as_a_file(out, tmp_path):
    page, problems = build(out)
    assert problems == []
    html = page.read_text()
    assert "http:" not in html and "https:" not in html and len(json.loads((page.parent / "review.json").read_text()))
    steps = """
        found.rows = document.querySelectorAll("#rows li").length;
        found.first = showing().slice(0, 3);
        await press("r");
        found.refused = [at("trouble").hidden, document.activeElement.id];
        at("reviewer").value = "me";
        document.activeElement.blur();
        await press("r"); await press("d"); await press("d"); await press("ArrowDown"); await press("2");
        await press("ArrowDown"); await press("w"); await press("u"); await press("z");
        found.count = at("count").textContent;
        found.said = own.map(one => [one.scan, one.say, one.by, one.levels.join(" ")]);
        found.kept = JSON.parse(localStorage.getItem(kept)).length;
        choose("filter", "said"); found.reviewed = showing();
        choose("filter", "wrong"); found.wrong = showing();
        choose("filter", "warned"); found.warned = showing().length;
        choose("filter", "all"); choose("order", "scan"); found.byName = showing().slice(0, 2);
        choose("search", "sub-0999"); found.searched = showing();
        found.detail = document.querySelector("#detail h2").textContent;
        found.vertebrae = document.querySelectorAll("#detail tr").length - 1;
        found.asked = performance.getEntriesByType("resource").filter(one => !one.name.startsWith("file:")).length;
        const asked = [...document.querySelectorAll("#rows img[src]")];
        found.pictures = asked.length < 300 && (await widths(asked)).every(width => width > 0) && asked.length > 0;
        found.wide = document.documentElement.scrollWidth > innerWidth;
    """
    found = browse(probed(page, steps).as_uri(), tmp_path / "profile")
    # Unknown names with a warning, the least probable first: 0.4 less a little for every number.
    assert found.pop("first") == ["sub-0994", "sub-0959", "sub-0924"]
    said = found.pop("said")
    assert [one[:3] for one in said] == [
        ["sub-0994", "right", 0],
        ["sub-0959", "shift", 1],
        ["sub-0959", "shift", 2],
        ["sub-0924", "names", 0],
        ["sub-0889", "wrong", 0],
        ["sub-0854", "shift", -1],
        ["sub-0854", "nothing", 0],
    ]
    assert len(said[3][3].split()) == 6
    assert found == {
        "rows": COUNT,
        "refused": [False, "reviewer"],
        "count": f"4 of {COUNT} reviewed, {COUNT} shown",
        "kept": 7,
        "reviewed": ["sub-0994", "sub-0959", "sub-0924", "sub-0889"],
        "wrong": ["sub-0889"],
        "warned": 143,
        "byName": ["sub-0000", "sub-0001"],
        "searched": ["sub-0999"],
        "detail": "sub-0999",
        "vertebrae": 6,
        "asked": 0,
        "pictures": True,
        "wide": False,
    }


def test_a_served_page_saves_what_is_said_and_shows_what_others_say(out, tmp_path):
    page, _ = build(out, "me")
    steps = """
        await press("r"); await press("w"); await press("z");
        // The page asks every 5 s what others said.
        const both = () => said.get("sub-0994")?.size === 2;
        for (let n = 0; n < 100 && !both(); n++) await new Promise(done => setTimeout(done, 400));
        choose("filter", "disputed");
        found.disputed = showing();
        choose("filter", "all");
        found.pictures = await widths([...document.querySelectorAll("#detail img")]);
    """
    probed(page, steps)
    with ReviewServer(out) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            other = {"scan": "sub-0994", "result": server.digests["sub-0994"], "reviewer": "you", "say": "wrong"}
            verdicts.add(out, verdicts.Verdict.from_json({**other, "time": verdicts.now()}))
            found = browse(server.url, tmp_path / "profile")
        finally:
            server.shutdown()
            thread.join()
    assert found == {"disputed": ["sub-0994"], "pictures": [1]}
    said, problems = verdicts.read(out)
    assert problems == [] and [(one.scan, one.say.value, one.reviewer) for one in said if one.reviewer == "me"] == [
        ("sub-0994", "right", "me"),
        ("sub-0959", "wrong", "me"),
        ("sub-0924", "nothing", "me"),
    ]


def test_pictures_of_scans_with_odd_names_are_shown(tmp_path):
    """What an address would take for its own."""
    names = ["50% #1?", "Grüße"]
    out = many_in(tmp_path / "out", len(names), names)
    page, problems = build(out, "me")
    assert problems == []
    steps = """
        choose("order", "scan");
        const shown = () => [...document.querySelectorAll("#rows img[src]")];
        for (let n = 0; n < 100 && shown().length < 2; n++)
            await new Promise(done => setTimeout(done, 200));
        found.pictures = await widths(shown());
        await press("r");
    """
    probed(page, steps)
    assert browse(page.as_uri(), tmp_path / "profile") == {"pictures": [1, 1]}
    with ReviewServer(out) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert browse(server.url, tmp_path / "profile") == {"pictures": [1, 1]}
        finally:
            server.shutdown()
            thread.join()
    said, _ = verdicts.read(out)
    assert [one.scan in names for one in said] == [True]

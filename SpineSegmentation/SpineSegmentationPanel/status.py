"""What the panel says under the Apply button: one line with an icon and a colour, and how far a run is."""

import time

import qt
from slicer.i18n import tr as _

from .connection import connect

INFO, DONE, WARNING, ERROR = "info", "done", "warning", "error"

COLORS = {INFO: "", DONE: "color: #1b7837", WARNING: "color: #b35806", ERROR: "color: #b2182b; font-weight: bold"}

LINES = 2
"""The label shows so many lines; its height never changes, so that buttons stay where they are."""

STAGES = {
    "loading": _("Loading the networks (longer the first time)"),
    "detection": _("Finding the spine"),
    "labelling": _("Naming the vertebrae"),
    "segmentation": _("Segmenting"),
    "measuring": _("Measuring"),
}
NUMBERED = ["detection", "labelling", "segmentation"]


class StatusLine:
    """Says one thing at a time; the whole text is in the tool tip.

    Args:
        icon, label: QLabels.
        bar: a QProgressBar.
    """

    def __init__(self, icon, label, bar) -> None:
        self._icon, self._label, self._bar = icon, label, bar
        self._step = ""
        self._since = 0.0
        self._timer = qt.QTimer()
        self._timer.setInterval(1000)
        connect(self._timer, "timeout()", self._tick)
        self.text = ""

    def show(self, text: str, kind: str = INFO) -> None:
        """Shows a sentence; it begins with a capital whoever wrote it."""
        self.text = text[:1].upper() + text[1:]
        pixmaps = {WARNING: qt.QStyle.SP_MessageBoxWarning, ERROR: qt.QStyle.SP_MessageBoxCritical}
        if kind in pixmaps:
            self._icon.setPixmap(self._icon.style().standardIcon(pixmaps[kind]).pixmap(16, 16))
        self._icon.setVisible(kind in pixmaps)
        self._label.setStyleSheet(COLORS[kind])
        self._show_text()

    def start(self) -> None:
        """A run has begun."""
        self._since = time.monotonic()
        self._step = _("Starting")
        self._timer.start()
        self._bar.setMaximum(0)
        self._tick()

    def progress(self, stage: str, done: int, total: int, level: str) -> None:
        """How far the run is; a bar from 0 to 0 runs back and forth where nobody knows."""
        text = STAGES.get(stage, stage)
        if stage in NUMBERED:
            text = _("Stage {number} of {count}: {stage}").format(
                number=NUMBERED.index(stage) + 1, count=len(NUMBERED), stage=text
            )
        if stage == "segmentation":
            text += " " + _("{done} of {total}").format(done=done, total=total) + f" {level or ''}"
        elif total > 1:
            text += " " + _("{percent} %").format(percent=round(100 * done / total))
        self._step = text
        self._bar.setMaximum(total if total > 1 else 0)
        self._bar.setValue(done)
        self._tick()

    def stop(self) -> None:
        """The run has ended."""
        self._timer.stop()
        self._bar.setMaximum(1)
        self._bar.setValue(0)

    def _tick(self) -> None:
        seconds = int(time.monotonic() - self._since)
        self.show(f"{self._step.rstrip()} ({seconds} s)" if seconds else self._step)

    def _show_text(self) -> None:
        metrics, width = self._label.fontMetrics(), max(self._label.width, 200)
        self._label.setText(metrics.elidedText(self.text, qt.Qt.ElideRight, LINES * width - 40))
        self._label.setToolTip(self.text)

"""The verdict on the names, above the table, with its second-best reading one click away."""

from collections.abc import Callable

from slicer.i18n import tr as _

from SpineSegmentationLib.numbering import Certainty, Numbering, Reading

from .connection import connect

LOOKS = {
    Certainty.CERTAIN: ("✔", "#c7e9c0"),
    Certainty.DOUBTFUL: ("⚠", "#fdd49e"),
    Certainty.UNKNOWN: ("?", "#fdae6b"),
}
"""Sign and background."""

SENTENCES = {
    Certainty.CERTAIN: _("The names are certain."),
    Certainty.DOUBTFUL: _("The names are doubtful: check them."),
    Certainty.UNKNOWN: _("The names cannot be known from this field of view."),
}


class VerdictRow:
    """Shows a verdict.

    Args:
        label: a QLabel.
        button: a QPushButton that takes the second-best reading.
        on_read: gets that reading.
    """

    def __init__(self, label, button, on_read: Callable[[Reading], None]) -> None:
        self._label, self._button, self._on_read = label, button, on_read
        self._second: Reading | None = None
        connect(button, "clicked()", self._clicked)

    def show(self, numbering: Numbering | None, some: bool, by_person: bool) -> None:
        """Shows a verdict.

        Args:
            some: whether there are vertebrae.
            by_person: whether a person set any of their names or places.
        """
        self._second = numbering.second if numbering is not None else None
        self._button.setVisible(self._second is not None)
        if self._second is not None:
            first, last = self._second.levels[0].name, self._second.levels[-1].name
            self._button.setText(
                _("Read as {first} to {last} ({percent} %)").format(
                    first=first, last=last, percent=round(100 * self._second.probability)
                )
            )
        self._label.setVisible(some)
        if numbering is None:
            self._label.setText(_("Names: set or checked by you.") if by_person else _("Names: without a verdict."))
            self._label.setStyleSheet("")
            self._label.setToolTip("")
            return
        sign, color = LOOKS[numbering.certainty]
        text = f"{sign} {SENTENCES[numbering.certainty]}"
        if numbering.readings:
            text += f" ({round(100 * numbering.readings[0].probability)} %)"
        self._label.setText(text)
        self._label.setStyleSheet(f"background: {color}; color: black; padding: 3px")
        self._label.setToolTip("\n".join(numbering.evidence) or _("No anatomical sign was noted."))

    def _clicked(self) -> None:
        if self._second is not None:
            self._on_read(self._second)

"""The table of vertebrae: one row each, from the head down."""

from collections.abc import Callable, Sequence

import ctk
import qt
from slicer.i18n import tr as _

from SpineSegmentationLib.anatomy import COLUMN, Level

from .connection import connect

COLOR, LEVEL, CONFIDENCE, VOLUME, COMPLETE, LOCK, KEEP = range(7)
"""Columns, as in the .ui file."""

CERTAIN, DOUBTFUL = 0.8, 0.5
"""Confidences: at least CERTAIN is green, below DOUBTFUL is orange and flagged."""

LEVELS = [level.name for level in COLUMN]


class VertebraTable:
    """Shows vertebrae and tells what a person changes in a row.

    Args:
        widget: the QTableWidget of the .ui file.
        on_rename: gets the old and the new name.
        on_lock, on_keep: get a name and whether its box is checked.
        on_select: gets the name in the row that was clicked.
    """

    def __init__(
        self,
        widget,
        on_rename: Callable[[str, str], None],
        on_lock: Callable[[str, bool], None],
        on_keep: Callable[[str, bool], None],
        on_select: Callable[[str], None],
    ) -> None:
        self.widget = widget
        self.levels: list[str] = []
        self.choosers: list[LevelChooser] = []
        self._on_rename, self._on_lock, self._on_keep, self._on_select = on_rename, on_lock, on_keep, on_select
        connect(widget, "cellClicked(int,int)", self._cell_clicked)
        connect(widget, "cellChanged(int,int)", self._cell_changed)

    @property
    def selected(self) -> str | None:
        """The name in the current row."""
        row = self.widget.currentRow()
        return self.levels[row] if 0 <= row < len(self.levels) else None

    def select(self, level: str) -> None:
        """Makes a vertebra's row the current one and jumps to it."""
        self.widget.selectRow(self.levels.index(level))
        self._on_select(level)

    def show(self, vertebrae: Sequence, edited: Sequence[str]) -> None:
        """Shows one row per vertebra.

        Args:
            vertebrae: ``mrml.vertebrae.Vertebra``, from the head down.
            edited: names of those whose segment a person has painted, or keeps.
        """
        self.widget.blockSignals(True)
        self._set_rows(len(vertebrae))
        self.levels = [vertebra.level for vertebra in vertebrae]
        for row, vertebra in enumerate(vertebrae):
            self._show_row(row, vertebra, vertebra.level in edited)
        self.widget.resizeColumnsToContents()
        self.widget.blockSignals(False)

    def _set_rows(self, count: int) -> None:
        if count == self.widget.rowCount:
            return
        self.widget.setRowCount(count)
        del self.choosers[count:]
        for row in range(len(self.choosers), count):
            for column in (COLOR, CONFIDENCE, VOLUME, COMPLETE, LOCK, KEEP):
                self.widget.setItem(row, column, qt.QTableWidgetItem(""))
            self.choosers.append(LevelChooser(self, row))
            self.widget.setCellWidget(row, LEVEL, self.choosers[row].combo)

    def _show_row(self, row: int, vertebra, edited: bool) -> None:
        red, green, blue = (round(255 * part) for part in Level.parse(vertebra.level).color)
        self.widget.item(row, COLOR).setBackground(qt.QBrush(qt.QColor(red, green, blue)))
        self.choosers[row].show(vertebra.level)
        confidence = self.widget.item(row, CONFIDENCE)
        doubtful = vertebra.confidence < DOUBTFUL
        confidence.setText(f"{100 * vertebra.confidence:.0f} %" + (" ⚠" if doubtful else ""))
        confidence.setBackground(qt.QBrush(_confidence_color(vertebra.confidence)))
        confidence.setForeground(qt.QBrush(qt.QColor(0, 0, 0)))
        self._set_text(row, VOLUME, None if vertebra.volume_mm3 is None else f"{vertebra.volume_mm3 / 1000:.1f}")
        self._set_text(row, COMPLETE, {None: None, True: _("yes"), False: _("cut off")}[vertebra.complete])
        self._set_checked(row, LOCK, vertebra.locked)
        self._set_checked(row, KEEP, edited)

    def _set_text(self, row: int, column: int, text: str | None) -> None:
        self.widget.item(row, column).setText("–" if text is None else text)

    def _set_checked(self, row: int, column: int, checked: bool) -> None:
        self.widget.item(row, column).setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)

    def _cell_clicked(self, row: int, column: int) -> None:
        if column not in (LOCK, KEEP):
            self._on_select(self.levels[row])

    def _cell_changed(self, row: int, column: int) -> None:
        if column in (LOCK, KEEP):
            checked = self.widget.item(row, column).checkState() == qt.Qt.Checked
            (self._on_lock if column == LOCK else self._on_keep)(self.levels[row], checked)

    def rename(self, row: int, new: str) -> None:
        """Called by a row's chooser."""
        if new != self.levels[row]:
            self._on_rename(self.levels[row], new)


class LevelChooser:
    """The drop-down list with the name of one row's vertebra."""

    def __init__(self, table: VertebraTable, row: int) -> None:
        self._table, self._row = table, row
        self.combo = ctk.ctkComboBox()
        # Scrolling through the table must not rename vertebrae.
        self.combo.setProperty("scrollWheelEffect", ctk.ctkComboBox.NeverScroll)
        self.combo.addItems(LEVELS)
        connect(self.combo, "activated(int)", self._activated)

    def show(self, level: str) -> None:
        """Shows a name without telling anyone."""
        self.combo.setCurrentIndex(LEVELS.index(level))

    def _activated(self, index: int) -> None:
        self._table.rename(self._row, LEVELS[index])


def _confidence_color(confidence: float):
    if confidence >= CERTAIN:
        return qt.QColor(160, 215, 160)
    return qt.QColor(250, 230, 140) if confidence >= DOUBTFUL else qt.QColor(255, 165, 90)

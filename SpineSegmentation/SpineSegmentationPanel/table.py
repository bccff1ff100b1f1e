"""The table of vertebrae: one row each, from the head down or as a person sorts it."""

from collections.abc import Callable, Sequence

import ctk
import qt
from slicer.i18n import tr as _

from SpineSegmentationLib.anatomy import COLUMN, Level
from SpineSegmentationLib.segmentation.confidence import FAILED

from .connection import connect

COLOR, LEVEL, CONFIDENCE, VOLUME, COMPLETE, LOCK, KEEP = range(7)
"""Columns, as in the .ui file."""

CERTAIN, DOUBTFUL = 0.8, 0.5
"""Confidences: at least CERTAIN is green, below DOUBTFUL is orange and flagged."""

LEVELS = [level.name for level in COLUMN]

GREEN, YELLOW, ORANGE, BLUE, RED = (
    (160, 215, 160),
    (250, 230, 140),
    (255, 165, 90),
    (170, 200, 235),
    (240, 150, 140),
)

ORDERS = {
    CONFIDENCE: lambda vertebra: (not vertebra.problem, vertebra.confidence),
    VOLUME: lambda vertebra: vertebra.volume_mm3 or 0.0,
    COMPLETE: lambda vertebra: vertebra.complete is not False,
    LOCK: lambda vertebra: not vertebra.locked,
    KEEP: lambda vertebra: not vertebra.kept,
}
"""What a click on a heading sorts by; on any other, the column from the head down."""


class VertebraTable:
    """Shows vertebrae and tells what a person changes in a row.

    Args:
        widget: the QTableWidget of the .ui file.
        on_rename: gets a vertebra and its new name.
        on_lock, on_keep: get names and whether they are checked.
        on_select: gets the vertebra in the row that was clicked, and whether the views should go there.
        on_menu: gets the place on the screen of a right click.
    """

    def __init__(
        self,
        widget,
        on_rename: Callable,
        on_lock: Callable[[list[str], bool], None],
        on_keep: Callable[[list[str], bool], None],
        on_select: Callable,
        on_menu: Callable,
    ) -> None:
        self.widget = widget
        self.vertebrae: list = []
        self.choosers: list[LevelChooser] = []
        self._on_rename, self._on_lock, self._on_keep, self._on_select = on_rename, on_lock, on_keep, on_select
        self._on_menu = on_menu
        self._order, self._backwards = LEVEL, False
        self._shown: tuple[list, list] = ([], [])
        widget.setContextMenuPolicy(qt.Qt.CustomContextMenu)
        connect(widget, "cellClicked(int,int)", self._cell_clicked)
        connect(widget, "cellChanged(int,int)", self._cell_changed)
        connect(widget, "customContextMenuRequested(QPoint)", self._menu_asked)
        connect(widget.horizontalHeader(), "sectionClicked(int)", self.sort)
        # Qt sorts items and leaves the choosers where they are.
        widget.horizontalHeader().setSectionsClickable(True)

    @property
    def levels(self) -> list[str]:
        """Names, as the rows stand."""
        return [vertebra.level for vertebra in self.vertebrae]

    @property
    def current(self):
        """The vertebra in the current row; None without one."""
        row = self.widget.currentRow()
        return self.vertebrae[row] if 0 <= row < len(self.vertebrae) else None

    @property
    def selected(self) -> str | None:
        """The name in the current row."""
        return self.current.level if self.current else None

    @property
    def all_selected(self) -> list:
        """The vertebrae of all selected rows, from above."""
        rows = {index.row() for index in self.widget.selectionModel().selectedRows()}
        return [self.vertebrae[row] for row in sorted(rows) if row < len(self.vertebrae)]

    def select(self, level: str, move: bool = True) -> None:
        """Makes a vertebra's row the current one and jumps to it."""
        if level in self.levels:
            row = self.levels.index(level)
            self.widget.selectRow(row)
            self._on_select(self.vertebrae[row], move)

    def step(self, by: int) -> None:
        """Selects the next row, or the one before, and jumps to it."""
        if self.vertebrae:
            row = min(max(self.widget.currentRow() + by, 0), len(self.vertebrae) - 1)
            self.widget.selectRow(row)
            self._on_select(self.vertebrae[row], True)

    def sort(self, column: int) -> None:
        """Sorts by a column; the second time the other way round."""
        self._backwards = not self._backwards if column == self._order else False
        self._order = column
        self.show(*self._shown)

    def show(self, vertebrae: Sequence, edited: Sequence[str]) -> None:
        """Shows one row per vertebra.

        Args:
            vertebrae: ``mrml.vertebrae.Vertebra``, from the head down.
            edited: names of those whose segment a person has painted, or keeps.
        """
        self._shown = (list(vertebrae), list(edited))
        current = self.current.id if self.current else None
        chosen = {vertebra.id for vertebra in self.all_selected}
        ordered = list(vertebrae)
        if self._order in ORDERS:
            ordered.sort(key=ORDERS[self._order])
        if self._backwards:
            ordered.reverse()
        self.widget.blockSignals(True)
        self._set_rows(len(ordered))
        moved = [vertebra.id for vertebra in ordered] != [vertebra.id for vertebra in self.vertebrae]
        self.vertebrae = ordered
        for row, vertebra in enumerate(ordered):
            self._show_row(row, vertebra, vertebra.level in edited)
        if moved:
            self._select_again(current, chosen)
        self.widget.resizeColumnsToContents()
        self.widget.blockSignals(False)

    def _select_again(self, current: str | None, chosen: set[str]) -> None:
        """The same vertebrae are selected, wherever their rows are now."""
        self.widget.clearSelection()
        rows = [row for row, vertebra in enumerate(self.vertebrae) if vertebra.id in chosen]
        at = next((row for row, vertebra in enumerate(self.vertebrae) if vertebra.id == current), -1)
        self.widget.setCurrentCell(at, LEVEL)
        if len(rows) == 1:
            self.widget.selectRow(rows[0])
        elif not rows:
            self.widget.clearSelection()

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
        color = Level[vertebra.level].color if vertebra.is_level else (0.6, 0.6, 0.6)
        self._set_background(row, COLOR, tuple(round(255 * part) for part in color))
        self.choosers[row].show(vertebra)
        text, background = _confidence(vertebra)
        confidence = self.widget.item(row, CONFIDENCE)
        confidence.setText(text)
        confidence.setToolTip(vertebra.problem[:1].upper() + vertebra.problem[1:])
        if vertebra.mask_confidence is not None:
            failed = vertebra.mask_confidence < FAILED
            confidence.setText(f"{text} · " + _("mask") + f" {100 * vertebra.mask_confidence:.0f} %" + " ⚠" * failed)
            background = ORANGE if failed and not vertebra.problem else background
        confidence.setForeground(qt.QBrush(qt.QColor(0, 0, 0)))
        self._set_background(row, CONFIDENCE, background)
        self._set_text(row, VOLUME, None if vertebra.volume_mm3 is None else f"{vertebra.volume_mm3 / 1000:.1f}")
        self._set_text(row, COMPLETE, {None: None, True: _("yes"), False: _("cut off")}[vertebra.complete])
        self._set_checked(row, LOCK, vertebra.locked)
        self._set_checked(row, KEEP, edited)

    def _set_background(self, row: int, column: int, rgb: tuple[int, int, int]) -> None:
        self.widget.item(row, column).setBackground(qt.QBrush(qt.QColor(*rgb)))

    def _set_text(self, row: int, column: int, text: str | None) -> None:
        self.widget.item(row, column).setText("–" if text is None else text)

    def _set_checked(self, row: int, column: int, checked: bool) -> None:
        self.widget.item(row, column).setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)

    def _cell_clicked(self, row: int, column: int) -> None:
        if column not in (LOCK, KEEP):
            self._on_select(self.vertebrae[row], True)

    def _cell_changed(self, row: int, column: int) -> None:
        if column in (LOCK, KEEP):
            checked = self.widget.item(row, column).checkState() == qt.Qt.Checked
            names = [self.vertebrae[row].level]
            # A box ticked in one of several selected rows counts for all of them.
            several = [vertebra.level for vertebra in self.all_selected if vertebra.is_level]
            names = several if names[0] in several else names
            (self._on_lock if column == LOCK else self._on_keep)(names, checked)

    def _menu_asked(self, place) -> None:
        self._on_menu(self.widget.viewport().mapToGlobal(place))

    def rename(self, row: int, new: str) -> None:
        """Called by a row's chooser."""
        if new != self.vertebrae[row].level:
            self._on_rename(self.vertebrae[row], new)


class LevelChooser:
    """The drop-down list with the name of one row's vertebra."""

    def __init__(self, table: VertebraTable, row: int) -> None:
        self._table, self._row = table, row
        self.combo = ctk.ctkComboBox()
        # Scrolling through the table must not rename vertebrae.
        self.combo.setProperty("scrollWheelEffect", ctk.ctkComboBox.NeverScroll)
        self.combo.addItems(LEVELS)
        connect(self.combo, "activated(int)", self._activated)

    def show(self, vertebra) -> None:
        """Shows a name without telling anyone; one that is no vertebra's as it is written."""
        self.combo.setProperty("defaultText", "" if vertebra.is_level else vertebra.level)
        self.combo.setCurrentIndex(LEVELS.index(vertebra.level) if vertebra.is_level else -1)

    def _activated(self, index: int) -> None:
        self._table.rename(self._row, LEVELS[index])


def _confidence(vertebra) -> tuple[str, tuple[int, int, int]]:
    """What stands in the column, and its background."""
    if vertebra.problem:
        return _("check") + " ⚠", RED
    if vertebra.by_person:
        return _("by you"), BLUE
    text = f"{100 * vertebra.confidence:.0f} %"
    if vertebra.confidence >= CERTAIN:
        return text, GREEN
    return (text, YELLOW) if vertebra.confidence >= DOUBTFUL else (f"{text} ⚠", ORANGE)

"""The section of measures: a table for people, lines in the views, plots."""

import qt
import slicer
from slicer.i18n import tr as _

from SpineSegmentationLib.errors import SpineError
from SpineSegmentationLib.scene import figures
from SpineSegmentationLib.scene.mrml import measures

from .connection import connect
from .status import WARNING

HEADINGS = [
    _("Level"),
    _("Front (mm)"),
    _("Middle (mm)"),
    _("Back (mm)"),
    _("Deformity"),
    _("Density (HU)"),
    _("Disc below (mm)"),
    _("Disc angle (°)"),
    _("Slip (mm)"),
]
"""As ``figures.HEADINGS``, for translators."""


class Measuring:
    """What was measured of the chosen volume's result; the widget gives the rest, as for ``Corrections``."""

    def connectMeasuring(self):
        self._measured = self._measuredOf = None
        self.ui.measuresTable.setColumnCount(len(HEADINGS))
        self.ui.measuresTable.setHorizontalHeaderLabels(HEADINGS)
        connect(self.ui.measuresTable, "cellClicked(int,int)", self.onMeasuresClicked)
        connect(self.ui.linesCheckBox, "clicked(bool)", self.onLines)
        connect(self.ui.curvesCheckBox, "clicked(bool)", self.onCurves)
        for button, slot in (
            (self.ui.measurementsButton, self.onMeasure),
            (self.ui.heightsPlotButton, self.onPlotHeights),
            (self.ui.densityPlotButton, self.onPlotDensity),
        ):
            connect(button, "clicked()", slot)

    def showMeasuring(self, result, some, idle):
        """Brings the section up to date; what was measured before the last change is shown in grey."""
        measured = self.logic.measures(result) if some else None
        for widget in (self.ui.measurementsButton, self.ui.heightsPlotButton, self.ui.densityPlotButton):
            widget.setEnabled(some and idle)
        for widget in (self.ui.linesCheckBox, self.ui.curvesCheckBox):
            widget.setEnabled(some)
        if not some or result != self._measuredOf:
            self._measuredOf = result
            shown = measures.shown_measures(result) if some else []
            self.ui.linesCheckBox.setChecked(any(measures.is_line(node) for node in shown))
            self.ui.curvesCheckBox.setChecked(any(measures.is_curve(node) for node in shown))
        self.ui.measuresTable.setEnabled(measured is not None)
        if not some:
            self.ui.measuresTable.setRowCount(0)
            self.ui.columnLabel.setText("")
            self._measured = None
        elif measured is not None and measured != self._measured:
            self._measured = measured
            self.fillMeasures(measured)

    def fillMeasures(self, measured):
        table = self.ui.measuresTable
        rows = figures.rows(measured)
        table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row.cells):
                item = qt.QTableWidgetItem(text or "–")
                item.setToolTip(row.told)
                table.setItem(number, column, item)
        table.resizeColumnsToContents()
        line = figures.column_line(measured)
        self.ui.columnLabel.setText(line)
        self.ui.columnLabel.setToolTip("\n".join((line, *measured["statements"], measured["note"])))

    def onMeasuresClicked(self, row, column):
        """All views jump to the vertebra, and its row is selected in the other table, too."""
        self.table.select(self.ui.measuresTable.item(row, 0).text())

    def whenMeasured(self, then):
        """Calls ``then`` with the result and what was measured, at once or when that is done."""
        result = self.result
        if result is None:
            return
        measured = self.logic.measures(result)
        if measured is None:
            self.edit(self.logic.measure, then=lambda result: then(result, self.logic.measures(result)))
        else:
            with slicer.util.tryWithErrorDisplay(_("The measures could not be shown.")):
                then(result, measured)
            self.refresh()

    def onMeasure(self):
        self.whenMeasured(lambda result, measured: self.showTable(result))

    def showTable(self, result):
        self.views.show_table(result.table)

    def onLines(self, on):
        self.whenMeasured(lambda result, measured: measures.show_lines(result, measured, self.lined(result, on)))

    def lined(self, result, on):
        """The vertebra whose lines are shown: the selected one, or else the first."""
        levels = [vertebra.level for vertebra in self.logic.vertebrae(result)]
        return (self.table.selected or levels[0]) if on and levels else None

    def followLines(self):
        """Another vertebra was selected: its lines are shown in place of the other's."""
        result = self.result
        if self.ui.linesCheckBox.checked and result is not None and (measured := self.logic.measures(result)):
            measures.show_lines(result, measured, self.table.selected)

    def onCurves(self, on):
        self.whenMeasured(lambda result, measured: measures.show_curves(result, measured, on))

    def onPlotHeights(self):
        self.whenMeasured(lambda result, measured: self.views.show_chart(measures.show_profiles(result, measured)[0]))

    def onPlotDensity(self):
        self.whenMeasured(lambda result, measured: self.views.show_chart(measures.show_profiles(result, measured)[1]))

    def stopMeasuring(self):
        """What is measured by itself gives way to what a person wants."""
        if self.logic.busy and self._silent:
            self.logic.cancel()

    def onRest(self):
        """Nothing was corrected for a moment: time to measure what changed."""
        result = self.result
        if result is None or self.logic.busy or self.logic.hasEdits(result):
            return
        if self.logic.vertebrae(result) and self.logic.measures(result) is None:
            self._silent, self._then, self._fresh = True, None, False
            try:
                self.logic.measure(result)
            except SpineError as error:
                self.status.show(str(error), WARNING)

"""What a person corrects in the panel: the part of the widget behind the table, its buttons, menu and keys."""

import qt
import slicer
from slicer.i18n import tr as _

from .connection import connect
from .status import ERROR, WARNING
from .table import LEVELS

KEYS = (
    ("Ctrl+Alt+Down", "onNext"),
    ("Ctrl+Alt+Up", "onPrevious"),
    ("Ctrl+Alt+PgUp", "onShiftUp"),
    ("Ctrl+Alt+PgDown", "onShiftDown"),
    ("Ctrl+Alt+Z", "onUndo"),
    ("Ctrl+Alt+Y", "onRedo"),
)
"""Keys that work while the module is open; Slicer's own shortcuts use none of them."""


class Corrections:
    """Edits of the chosen volume's result; the widget gives ``result``, ``logic``, ``table``, ``ui`` and ``status``."""

    def connectCorrections(self):
        for button, slot in (
            (self.ui.updateButton, self.onUpdateButton),
            (self.ui.shiftUpButton, self.onShiftUp),
            (self.ui.shiftDownButton, self.onShiftDown),
            (self.ui.reviewButton, self.onReview),
            (self.ui.insertButton, self.onInsert),
            (self.ui.deleteButton, self.onDelete),
            (self.ui.relabelButton, self.onRelabel),
            (self.ui.undoButton, self.onUndo),
            (self.ui.redoButton, self.onRedo),
        ):
            connect(button, "clicked()", slot)
        self.keys = []
        for keys, name in KEYS:
            shortcut = qt.QShortcut(qt.QKeySequence(keys), self.parent)
            connect(shortcut, "activated()", getattr(self, name))
            self.keys.append(shortcut)

    def edit(self, action, *arguments, then=None):
        """Makes one correction of the chosen volume's result; ``then`` gets the result when it is computed."""
        result = self.result
        if result is None:
            return
        self._then, self._silent, self._fresh = then, False, False
        try:
            with slicer.util.tryWithErrorDisplay(_("The correction could not be made.")):
                action(result, *arguments)
                if self.logic.busy:
                    self.status.start()
                elif not self.showProblem():
                    # Nothing had to be computed; what was wrong before is not any more.
                    self.status.show(self.summary(self.logic.vertebrae(result)))
        finally:
            self.refresh()
            self.rest.start()

    def selectedNames(self):
        """Names of the selected rows that are vertebrae; says so when there is none."""
        names = [vertebra.level for vertebra in self.table.all_selected if vertebra.is_level]
        if not names:
            self.status.show(_("Select a vertebra in the table first."), WARNING)
        return names

    def onUpdateButton(self):
        self.edit(self.logic.applyEdits)

    def onSacrum(self, on):
        """Of what was segmented already; what Apply will do is the parameter's."""
        if self.result is not None and self.logic.vertebrae(self.result):
            self.edit(self.logic.showSacrum, on)

    def onRename(self, vertebra, new):
        if vertebra.is_level and self.table.levels.count(vertebra.level) == 1:
            self.edit(self.logic.rename, vertebra.level, new)
        else:
            self.edit(self.logic.mend, vertebra.id, new)

    def onRead(self, reading):
        self.edit(self.logic.readAs, reading)

    def onLock(self, levels, on):
        self.edit(self.logic.lock, levels, on)

    def onKeep(self, levels, on):
        text = _("Replace what was painted by what is computed? Undo does not bring it back: ")
        if on or self.confirm(text + ", ".join(levels)):
            for level in levels:
                self.edit(self.logic.keep, level, on)
        self.refresh()

    def onSelect(self, vertebra, move=True):
        """Makes a vertebra the chosen one, and jumps to it in all views."""
        if vertebra.is_level:
            self.ui.relabelComboBox.setCurrentIndex(LEVELS.index(vertebra.level))
        self.views.choose(self.result, vertebra, move)
        self.followLines()

    def onPointClicked(self, points):
        """A point was clicked or dragged in a view: its row is selected, and the other views go there."""
        index = points.GetDisplayNode().GetActiveControlPoint() if points.GetDisplayNode() else -1
        if 0 <= index < points.GetNumberOfControlPoints():
            straight = points == self.views.straight.points
            self.table.select(points.GetNthControlPointLabel(index), move=straight)

    def onNext(self):
        self.table.step(1)

    def onPrevious(self):
        self.table.step(-1)

    def onReview(self):
        vertebrae = [vertebra for vertebra in self.table.vertebrae if not vertebra.locked]
        if vertebrae:
            worst = min(vertebrae, key=lambda vertebra: (not vertebra.problem, vertebra.confidence))
            self.table.select(worst.level)

    def onShiftUp(self):
        self.edit(self.logic.shift, -1)

    def onShiftDown(self):
        self.edit(self.logic.shift, 1)

    def onInsert(self):
        upper, levels = self.table.selected, [vertebra.level for vertebra in self.logic.vertebrae(self.result)]
        if upper is None or upper == levels[-1]:
            self.status.show(_("Select the vertebra above the missing one."), WARNING)
            return
        self.edit(self.logic.insertBetween, upper, levels[levels.index(upper) + 1])

    def onDelete(self):
        wrong = [vertebra for vertebra in self.table.all_selected if not vertebra.is_level]
        twice = [v for v in self.table.all_selected if self.table.levels.count(v.level) > 1 and v.is_level]
        for vertebra in wrong + twice:
            self.edit(self.logic.mend, vertebra.id, None)
        if wrong or twice:
            return
        names = self.selectedNames()
        if names:
            self.edit(self.logic.delete, names)

    def onSegmentAgain(self):
        """Gives up what was painted in the selected segments: the computed ones come back."""
        names = [name for name in self.selectedNames() if name in self.logic.edited(self.result)]
        if names:
            self.onKeep(names, False)

    def onRelabel(self):
        if self.table.selected is None:
            self.status.show(_("Select a vertebra in the table first."), WARNING)
            return
        self.edit(self.logic.relabelFrom, self.table.selected, self.ui.relabelComboBox.currentText)

    def onUndo(self):
        if self.result is not None and self.logic.canUndo(self.result):
            self._verb = _("Undone:")
            self.edit(self.logic.undo)

    def onRedo(self):
        if self.result is not None and self.logic.canRedo(self.result):
            self._verb = _("Redone:")
            self.edit(self.logic.redo)

    def onMenu(self, place):
        """The menu of the selected rows."""
        if not self.table.all_selected:
            return
        names = [vertebra.level for vertebra in self.table.all_selected if vertebra.is_level]
        menu = qt.QMenu(self.ui.vertebraTable)
        for text, slot in (
            (_("Lock"), lambda: self.onLock(names, True)),
            (_("Unlock"), lambda: self.onLock(names, False)),
            (_("Keep my edit"), lambda: self.onKeep(names, True)),
            (_("Segment again"), self.onSegmentAgain),
            (_("Insert missing below"), self.onInsert),
            (_("Delete"), self.onDelete),
        ):
            connect(menu.addAction(text), "triggered()", slot)
        self.menu = menu
        menu.popup(place)

    def showProblem(self):
        """Says what is wrong with the points, if anything is."""
        problem = self.logic.problem(self.result) if self.result else ""
        if problem:
            self.status.show(problem, ERROR)
        return bool(problem)

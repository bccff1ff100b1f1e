"""The parts of the panel. With SpineSegmentation.py the only code that knows Qt."""

"""The one exception for what a person can mend."""


class SpineError(Exception):
    """A one-line message for people: which file, what is wrong, what to do. Never shown with a traceback."""

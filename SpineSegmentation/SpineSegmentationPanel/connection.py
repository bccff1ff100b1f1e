"""Qt connections that fail loudly."""

from collections.abc import Callable


def connect(sender, signal: str, slot: Callable) -> None:
    """Connects a Qt signal, given with its signature.

    PythonQt returns False for a signal that does not exist and goes on; a button would then do nothing for ever.

    Raises:
        RuntimeError: the sender has no such signal.
    """
    if sender.connect(signal, slot) is False:
        raise RuntimeError(f"{sender.className()} has no signal {signal}")

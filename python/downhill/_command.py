"""The command ``downhill``."""

import signal
import sys

from . import _downhill


def main() -> int:
    """Runs the command with the arguments of the process; Ctrl-C is the command's own, as in the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN) if hasattr(signal, "SIGPIPE") else None
    return _downhill.run_command(sys.argv)


if __name__ == "__main__":
    sys.exit(main())

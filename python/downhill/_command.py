"""The command ``downhill``."""

import os
import signal
import sys

from . import _downhill
from ._net import quiet_loader


def main() -> int:
    """Runs the command with the arguments of the process; Ctrl-C is the command's own, as in the program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN) if hasattr(signal, "SIGPIPE") else None
    quiet_loader()
    own, *args = sys.argv
    # `python -m downhill` has the path of a file for a name.
    name = "downhill" if os.path.basename(own) in ("__main__.py", "_command.py") else own
    return _downhill.run_command([name, *args])


if __name__ == "__main__":
    sys.exit(main())

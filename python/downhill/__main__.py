"""``python -m downhill`` is the command ``downhill``."""

import sys

from ._command import main

sys.exit(main())

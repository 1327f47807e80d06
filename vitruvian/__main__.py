"""`python -m vitruvian`, where the command is not on the path."""

import sys

from vitruvian.cli import main

sys.exit(main())

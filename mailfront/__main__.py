"""`python -m mailfront` is the `mailfront` command."""

import sys

from mailfront.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

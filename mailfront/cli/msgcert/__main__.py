"""`python -m mailfront.cli.msgcert`: the same as the command `msgcert`."""

import sys

from mailfront.cli.msgcert.commands import main

sys.exit(main())

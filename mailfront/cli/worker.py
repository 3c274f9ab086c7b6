"""One worker of `mailfront serve` with `service.workers`; started by the supervisor, not by people.

Takes the number of the descriptor over which the supervisor hands everything else over.
"""

from __future__ import annotations

import socket
import sys

from mailfront.cli.output import EXIT_OK, run_command


def main() -> int:
    """Serve until the supervisor says to stop, or is gone."""
    return run_command(_serve)


def _serve() -> int:
    # Here, because it takes a second that must not pass before messages can be printed.
    from mailfront.server.process import serve_as_worker
    from mailfront.server.worker_link import WorkerLink

    serve_as_worker(WorkerLink(socket.socket(fileno=int(sys.argv[1]))))
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

"""Whether a service lives: every HTTP port of it that is named answers. Exit code 0 or 1, and why.

An answer, of whatever status below 500, shows that the process's loop turns, which the kernel's accepting a connection
does not; RTMP is served by the same loop as the play port, which knows no /healthz and says so. Whether the store and
Redis answer is asked at /readyz and is no matter of this check: to start a process anew mends neither.
"""

import http.client
import sys

ANSWER_SECONDS = 2.0


def main() -> int:
    """Ask each port of the command line."""
    for port in map(int, sys.argv[1:]):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", "/healthz")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            print(f"port {port}: {error or type(error).__name__}")
            return 1
        finally:
            connection.close()
        if status >= http.client.INTERNAL_SERVER_ERROR:
            print(f"port {port}: status {status}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs a server that must not outlive the process that started it.

    tether.py COMMAND [ARGUMENT ...]

The command's pid is printed on stdout, all that it writes goes to stderr. It is ended when stdin reaches its end,
which it does however the parent dies, or on SIGTERM: SIGTERM first, SIGKILL after five seconds. The exit code is
the command's, or 128 + the signal that ended it.
"""

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 5


def wait_for_end_of_stdin():
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(command):
    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except OSError as error:
        sys.exit(f"{command[0]} can't be run: {error.strerror}")

    def end(*_):
        server.terminate()
        killer = threading.Timer(GRACE_SECONDS, server.kill)
        killer.daemon = True
        killer.start()

    signal.signal(signal.SIGTERM, end)
    print(server.pid, flush=True)
    threading.Thread(target=wait_for_end_of_stdin, daemon=True).start()
    code = server.wait()
    sys.exit(code if code >= 0 else 128 - code)


main(sys.argv[1:])

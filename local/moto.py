"""moto's server, with a quicker clock, queues that stand several requests at once, a memory, and a door. Written for moto 5.2.5.

The clock: every message of a queue asks moto for the time a dozen times whenever one is received, and moto makes that time
from datetimes. With 400 messages waiting, a receive of ten took 0.6 s, and takes 0.03 s with the clock below; at
Wikimedia's rate moto could not keep up.

The queues: a deletion walks the list of messages and puts a copy in its place, without a lock, while requests run in threads
of their own. Of two at once, one brought back what the other had deleted and lost what was sent in between. Below, one
request at a time touches a queue's messages; sending takes the same lock already.

The memory: where SLUICE_MOTO_STATE names a file, queues and buckets are written to it when SIGTERM or SIGINT ends the server,
and read from it at the next start. After SIGKILL moto begins with what the file holds, or empty. A pickle runs the code that it holds: a file
that anybody else could have written is refused.

The door: moto answers whoever asks, and lets every web page read the answers. A page that is open on the same machine could reset it, or
read its buckets. Below, what a page of another origin asks is refused, and what comes under a name that is not this machine's (a page's own
name, once its owner has let that lead here).
"""

import atexit
import copyreg
import os
import pickle
import sys
import threading
import time
from stat import S_ISDIR, S_ISVTX

from moto.s3.models import s3_backends
from moto import server
from moto.sqs import models
from moto.sqs.models import sqs_backends


def unix_time(_=None):
    return time.time()


def unix_time_millis(_=None):
    return time.time() * 1000.0


def one_at_a_time(method):
    def locked(self, queue_name, *arguments, **named):
        with self.get_queue(queue_name)._messages_lock:
            return method(self, queue_name, *arguments, **named)

    return locked


# Whoever raises moto's version finds out here, rather than by a slow or a lossy queue.
for quick in (unix_time, unix_time_millis):
    assert hasattr(models, quick.__name__), f"moto has no {quick.__name__} any more: see moto.py"
    setattr(models, quick.__name__, quick)

backend = models.SQSBackend
for name in ("delete_message", "change_message_visibility", "purge_queue"):
    setattr(backend, name, one_at_a_time(getattr(backend, name)))

receive_now = one_at_a_time(backend.receive_message)


def receive_message(self, queue_name, count, wait_seconds_timeout, *arguments, **named):
    """A long poll, which holds the lock only while it looks."""
    end = time.time() + wait_seconds_timeout
    while True:
        messages = receive_now(self, queue_name, count, 0, *arguments, **named)
        left = end - time.time()
        if messages or left <= 0:
            return messages
        self.get_queue(queue_name).wait_for_messages(min(1, left))


backend.receive_message = receive_message

# A queue holds one, which nobody holds once the server ends.
copyreg.pickle(threading.Condition, lambda _: (threading.Condition, ()))


def every(backends):
    """The backends in use, with the account and the region (of S3: the partition) of each."""
    return [(account, region, one) for account, regions in backends.items() for region, one in regions.items()]


def save(file):
    queues = [(account, region, one.queues) for account, region, one in every(sqs_backends)]
    buckets = [(account, partition, one.buckets) for account, partition, one in every(s3_backends)]
    # Whatever lies there was not written by this process: it may be open to others.
    if os.path.lexists(f"{file}.new"):
        os.unlink(f"{file}.new")
    with open(os.open(f"{file}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as new:
        pickle.dump({"queues": queues, "buckets": buckets}, new)
    os.replace(f"{file}.new", file)


def require_own(path, stat):
    """Of a file to unpickle, and of the folder in which another one could take its place."""
    # In a sticky folder, as /tmp, nobody else can replace the file.
    is_sticky = S_ISDIR(stat.st_mode) and stat.st_mode & S_ISVTX
    if stat.st_uid not in (os.getuid(), 0) or (stat.st_mode & 0o022 and not is_sticky):
        sys.exit(f"moto reads no state from {path}, since others can write there: chmod go-w {path}, or take it away")


def load(file):
    folder = os.path.dirname(os.path.abspath(file))
    require_own(folder, os.stat(folder))
    with open(file, "rb") as old:
        require_own(file, os.fstat(old.fileno()))
        state = pickle.load(old)
    for account, region, queues in state["queues"]:
        sqs_backends[account][region].queues.update(queues)
    for account, partition, buckets in state["buckets"]:
        s3_backends[account][partition].buckets.update(buckets)
        s3_backends.bucket_accounts.update({name: (partition, account) for name in buckets})


# `moto` is its name among containers.
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]", "moto")


def is_own(host):
    """Of a Host header: the name, without the port. Buckets and accounts may stand before `localhost`."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name in OWN_NAMES or name.endswith(".localhost")


def refusal(environ):
    host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
    if not is_own(host):
        return f"moto is not called {host!r}: ask 127.0.0.1 or localhost"
    if origin is not None and origin.split("://", 1)[-1] != host:
        return f"moto answers no page of {origin!r}"
    return None


def guarded(application):
    def answer(environ, start_response):
        why = refusal(environ)
        if why is None:
            return application(environ, start_response)
        body = f"{why}\n".encode()
        start_response("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


assert hasattr(server, "run_simple"), "moto has no run_simple any more: see moto.py"
run_simple = server.run_simple
server.run_simple = lambda host, port, application, **named: run_simple(host, port, guarded(application), **named)

state_file = os.environ.get("SLUICE_MOTO_STATE")
if state_file:
    if os.path.exists(state_file):
        load(state_file)
    atexit.register(save, state_file)

server.main(sys.argv[1:])

"""For all tests: one torch thread a process, since several processes test at once and threads that wait
for a core make all others wait for them. And a cache of their own, empty of weights, in which compiled
networks stay from test to test. Set before anything imports torch; commands inherit it.

Whoever starts the tests in the background of a shell script has them ignore Ctrl-C, and their commands."""

import os
import signal

from tests.support.commands import HOME

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TWINPATH_HOME"] = str(HOME)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

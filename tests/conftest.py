"""For all tests: one torch thread a process, since several processes test at once and threads that wait
for a core make all others wait for them. And a cache of their own, empty of weights, in which compiled
networks stay from test to test. Set before anything imports torch; commands inherit it."""

import os

from commands import HOME

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["TWINPATH_HOME"] = str(HOME)

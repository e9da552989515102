"""For all tests: one torch thread a process, since several processes test at once and threads that wait
for a core make all others wait for them. Set before anything imports torch; commands inherit it."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

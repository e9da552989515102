#!/bin/sh
# What a GPU must do as the CPU does, how fast it is, and whether it trains. Needs python3 with torch and numpy,
# PyAV to read files beside it, and Lightning to train; under ten minutes.
#
#     scripts/check_gpu.sh                    # on the GPU
#     scripts/check_gpu.sh --device cpu       # the same steps with small networks, to try the script
set -eu
cd "$(dirname "$0")/.."
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" scripts/check_gpu.py "$@"

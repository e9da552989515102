"""How fast Twinpath is on this machine, alone or side by side with PyTorchVideo.

    python -m benchmarks [--quick] [--only GROUP] [--peer] [--before CHECKOUT]

`__main__` runs each group of measurements of `commands`, `warm` and `folder`, `limits` tells what the machine
allows, `bars` compares the figures with the bars, and `report` formats all. Whatever is measured runs in a
process of its own: `twinpath_worker`, `pytorchvideo_worker` and `pytorchvideo_tutorial`; `worker` is the
protocol between the processes.

The process that starts the others imports only the standard library, no NumPy and no torch: Linux counts a
child's peak memory from its parent's on.
"""

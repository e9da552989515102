"""What is seen of a run while it goes on.

run_log.py        steps, epochs and evaluations to the loggers that a recipe names
metrics_file.py   metrics.csv, which each run has
loggers.py        TensorBoard, Weights & Biases, trackio, files
evaluated.py      pictures of an evaluation: confusions, predictions, wrong clips
layers.py         pictures of weights and activations
first_batches.py  pictures of what the first batches will be
time_left.py      how long the rest will take
"""

"""The loop of a training run: a recipe's network, data, schedule and checkpoints, on one process or many."""

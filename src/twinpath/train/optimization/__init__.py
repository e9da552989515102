"""Steps of the weights: learning rates, parameter groups, optimizers, averages, first values."""

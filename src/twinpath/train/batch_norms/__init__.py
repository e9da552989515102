"""Statistics of batch norms: over parts of a batch, over several processes, over many batches."""

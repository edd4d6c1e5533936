"""A process beside a batch that separates, measures and writes, so that the network need not."""

"""A fine-tuning on disk: what is to be done, with which data, where, and by whom."""

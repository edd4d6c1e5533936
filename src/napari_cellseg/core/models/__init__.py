"""Networks: one file a paper, entered in the MODELS registry."""

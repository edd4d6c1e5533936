"""Post-processing: probability maps in, numbered objects out, one file a step."""

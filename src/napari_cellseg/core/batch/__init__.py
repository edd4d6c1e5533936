"""Many images under one recipe: what is to be done, what is done, and the folder of results."""

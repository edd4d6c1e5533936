"""Labels to files: one module a format."""

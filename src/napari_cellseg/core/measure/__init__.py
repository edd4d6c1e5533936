"""Numbers about objects: one module a kind of measure, and the table that holds them."""

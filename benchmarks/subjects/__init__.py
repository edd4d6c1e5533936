"""What is timed: one module a tool, each with ``ways(task, size, folder) -> {name: function}``."""

"""Which objects of a result a person should look at first, and why."""

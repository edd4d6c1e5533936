"""The report of an agreement: pictures, curve and page."""

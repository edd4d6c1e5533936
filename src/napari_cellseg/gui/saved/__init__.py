"""Work that is saved in one file and opened again."""

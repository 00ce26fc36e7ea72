"""Data sets: readers, embedded worlds and the tables that say which labels may be seen."""

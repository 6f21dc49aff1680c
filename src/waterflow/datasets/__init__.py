"""The data sets that ship with Waterflow, and their downloads."""

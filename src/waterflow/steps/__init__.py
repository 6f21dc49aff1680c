"""The five steps of a run. Each takes records and returns one."""

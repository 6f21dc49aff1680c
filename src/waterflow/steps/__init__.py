"""The four steps of a run: prepare, train, evaluate, register. Each takes records and gives one."""

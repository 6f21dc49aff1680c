"""The five steps of a run: prepare, train, evaluate, register, promote. Each takes records and gives one."""

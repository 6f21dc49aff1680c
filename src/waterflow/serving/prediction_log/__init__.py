"""The record of predictions. Each worker has a spool, which is sealed into the store; outcomes join it later."""

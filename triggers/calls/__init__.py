"""Calls in the database: accepted, coalesced, rejected, cancelled and pruned. The row is the queue.

Only this room and `triggers.run` write TriggerCall.state: `accept` and `cancel` here, `claim` and `results` there. Two locks
make that exact. Whatever decides over an application's queue holds that application's row lock (on SQLite, the write lock that
BEGIN IMMEDIATE takes), and the constraint `one_running_call_an_application` stands behind it. Work on the engine is guarded by
the call's lease (triggers.run.lease).
"""

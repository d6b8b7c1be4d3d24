"""Schedules: when jobs run, the lock by which one job runs at a time, and the scheduler that starts them."""

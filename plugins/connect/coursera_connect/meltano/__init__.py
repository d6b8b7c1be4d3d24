"""The Meltano project around connect: its folders, settings, processes, schedules and record of runs."""

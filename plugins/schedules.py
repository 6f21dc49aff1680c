"""Registers the timetable of schedules that end."""

from waterflow.orchestration.bounded_timetable import TimetablesPlugin

__all__ = ["TimetablesPlugin"]

"""A schedule that ends without ending its DAG.

After a DAG's `end_date` Airflow runs nothing of it, not even a manual trigger. A pipeline with the data of one year
needs less: no scheduled run after the end.
"""

from datetime import timedelta
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from pendulum import DateTime


class CronDataIntervalUntil(CronDataIntervalTimetable):
    """Data intervals of a cron line that begin before `end`."""

    def __init__(self, cron: str, timezone: Any, end: DateTime) -> None:
        super().__init__(cron, timezone)
        self._end = end

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next interval. None if it would begin at or after the end."""
        last = self._end - timedelta(microseconds=1)  # Airflow's own bound is inclusive
        latest = last if restriction.latest is None else min(last, restriction.latest)
        return super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction._replace(latest=latest)
        )

    def serialize(self) -> dict[str, Any]:
        """Return what the scheduler needs to rebuild it."""
        return super().serialize() | {"end": self._end.isoformat()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> "CronDataIntervalUntil":
        """Rebuild a timetable from `serialize`."""
        import pendulum

        plain = CronDataIntervalTimetable.deserialize(data)
        return cls(data["expression"], plain._timezone, pendulum.parse(data["end"]))


class TimetablesPlugin(AirflowPlugin):
    """Register the timetable with the scheduler."""

    name = "waterflow_timetables"
    timetables = [CronDataIntervalUntil]  # noqa: RUF012  # Airflow's own attribute

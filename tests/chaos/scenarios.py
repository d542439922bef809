"""All scenarios, in the order of the report."""

from tests.chaos import on_callers, on_jobs, on_redis, on_the_way, on_workers
from tests.chaos.scenario import ALL

__all__ = ["ALL", "on_callers", "on_jobs", "on_redis", "on_the_way", "on_workers"]

"""Jobs whose work has to be released again: by a worker that comes when there was none, and now and then by anybody."""

from __future__ import annotations

from service.core.messages import ModelKey, Priority
from service.queues import scripts
from service.queues.keys import Keys
from service.queues.redis_link import Link


async def mend(link: Link, keys: Keys, model: ModelKey | None = None) -> int:
    """Release work of every job, or of the jobs of one model version; how many items had been lost from streams.

    Raises `Away` or `Rejected`.
    """
    again = 0
    for name in await link.send("ZRANGE", keys.jobs[0], 0, -1):
        job = keys.job(name.decode())
        of = await link.send("HGET", job.job, "model")
        if of is not None and (model is None or of.decode() == str(model)):
            line = keys.of(model_key(of))
            again += await link.run(scripts.JOB_MEND, [line.line, line.stream(Priority.BULK), *job.all], name)
    return again


def model_key(text: bytes) -> ModelKey:
    """The model version of a job, as the job's hash has it."""
    name, _, version = text.decode().rpartition(":")
    return ModelKey(name, int(version))

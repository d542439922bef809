"""How a worker tells Redis what became of its leases: which script, with which keys and arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from service.core.errors import Cancelled, EngineFailed
from service.core.messages import Answer, Outcome, Priority
from service.queues import scripts
from service.queues.envelope import Place, Work, write_reply
from service.queues.keys import GROUP
from service.queues.leases import Held
from service.queues.redis_link import Arg
from service.queues.redis_site import Post
from service.queues.scripts import Script

#: Longest reply stream: far more than a front-end can have in flight.
_MAX_REPLIES = 65_536
_MAX_DEAD, _DEAD_TTL_MS, _DEAD_PAYLOAD = 1000, 7 * 24 * 3600 * 1000, 2**18

#: One lease and its outcome; None where nobody needs one any more.
Finished = tuple[Held, Outcome | None]


@dataclass(frozen=True, slots=True)
class Call:
    """One script, ready to run."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Arg]


def completions(post: Post, priority: Priority, finished: Sequence[Finished], ms_per_item: float) -> list[Call]:
    """The calls that finish leases of one stream: answers to front-ends, and results of jobs."""
    asked = [(held, outcome) for held, outcome in finished if held.work.place is None]
    stored = [(held.work, held.work.place, outcome) for held, outcome in finished if held.work.place is not None]
    calls = []
    if asked:
        calls.append(_replies(post, priority, asked, ms_per_item))
    if stored:
        calls.append(_results(post, priority, stored, ms_per_item))
    return calls


def burial(post: Post, held: Held, deaths: int) -> Call:
    """The call that moves what has killed its workers to the dead letters, and says so to whoever asked."""
    work, place = held.work, held.work.place
    reason = f"model {post.model}: {deaths} workers died while they computed this picture"
    body, letter = write_reply(EngineFailed(reason)), _letter(work, reason, deaths)
    stream, dead = post.keys.stream(held.priority), post.site.keys.dead_letters(post.model)
    kept: list[Arg] = [_MAX_DEAD, _DEAD_TTL_MS, *letter]
    if place is None:
        keys = [stream, post.keys.line, dead, post.site.keys.replies(work.front_end)]
        return Call(scripts.BURY, keys, [GROUP, work.entry, work.size, work.token, body, *kept])
    keys = [*post.site.keys.jobs, post.keys.line, stream, *post.site.keys.job(place.job).all, dead]
    return Call(scripts.JOB_BURY, keys, [GROUP, place.job, work.entry, place.index, place.name, body, *kept])


def _letter(work: Work, reason: str, deaths: int) -> list[Arg]:
    letter: dict[str, Arg] = {
        "id": work.id,
        "reason": reason,
        "deaths": deaths,
        "entry": work.entry,
        "params": work.id,
        "sha256": hashlib.sha256(work.image).hexdigest(),
        "size": len(work.image),
        "image": work.image[:_DEAD_PAYLOAD],
    }
    return [part for pair in letter.items() for part in pair]


def _replies(post: Post, priority: Priority, finished: Sequence[Finished], ms_per_item: float) -> Call:
    keys = [post.keys.stream(priority), post.keys.line]
    args: list[Arg] = [GROUP, f"{ms_per_item:.4f}", _MAX_REPLIES]
    streams: dict[str, int] = {}
    for held, outcome in finished:
        work = held.work
        told = outcome is not None and not isinstance(outcome, Cancelled)
        reply = streams.setdefault(post.site.keys.replies(work.front_end), len(streams) + 1) if told else 0
        body = write_reply(outcome) if outcome is not None and told else b""
        args += [work.entry, work.size, reply, work.token, body]
    return Call(scripts.COMPLETE, [*keys, *streams], args)


def _results(
    post: Post, priority: Priority, finished: Sequence[tuple[Work, Place, Outcome | None]], ms_per_item: float
) -> Call:
    numbers: dict[str, int] = {}
    args: list[Arg] = []
    for work, place, outcome in finished:
        number = numbers.setdefault(place.job, len(numbers) + 1)
        # What was withdrawn is in its stream no more, so that the script takes the lease back and stores nothing.
        result = outcome or Cancelled("the job was cancelled")
        status = "ok" if isinstance(result, Answer) else "err"
        args += [work.entry, number, place.index, status, place.name, write_reply(result)]
    keys = [*post.site.keys.jobs, post.keys.line, post.keys.stream(priority)]
    keys += [key for job in numbers for key in post.site.keys.job(job).all]
    return Call(scripts.JOB_COMPLETE, keys, [GROUP, f"{ms_per_item:.4f}", len(numbers), *numbers, *args])

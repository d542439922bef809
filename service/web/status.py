"""`/statusz`: all that an operator asks first, as JSON, or as a page for whoever comes with a browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

#: JSON values by section: build, config, models, queue, workers, ...
Report = Callable[[], Awaitable[Mapping[str, Any]]]

_PAGE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>vitrine status</title><style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; } table { border-collapse: collapse; }
th, td { border: 1px solid #ccc; padding: .2em .6em; text-align: left; vertical-align: top; }
</style></head><body><h1>vitrine</h1>
{%- macro shown(value) -%}
{%- if value is mapping -%}<table>
{%- for key, item in value.items() %}<tr><th>{{ key }}</th><td>{{ shown(item) }}</td></tr>
{% endfor %}</table>
{%- elif value is sequence and value is not string -%}
{%- if not value %}none{% endif -%}
{%- for item in value %}{{ shown(item) }}{{ "" if item is mapping else " " }}{% endfor -%}
{%- else -%}{{ value }}{%- endif -%}
{%- endmacro -%}
{% for name, section in report.items() %}<h2>{{ name }}</h2>{{ shown(section) }}
{% endfor %}</body></html>
""")


class StatusPage:
    """The handler; `report` is asked anew each time."""

    def __init__(self, report: Report) -> None:
        self._report = report

    async def answer(self, request: Request) -> Response:
        """JSON unless HTML is asked for by name, as browsers do."""
        report = await self._report()
        if "text/html" in _media(request.headers.get("accept", "")):
            return HTMLResponse(_PAGE.render(report=report))
        return JSONResponse(report)


def _media(accept: str) -> Sequence[str]:
    return [part.partition(";")[0].strip() for part in accept.split(",")]

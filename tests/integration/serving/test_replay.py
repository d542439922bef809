"""A logged request is answered again, by the file that answered it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from service.client import AsyncClient, LoggedPrediction, Options, Picture, Retry
from service.core.errors import NoSuchPrediction
from tests.serving import Serving

ONCE = Retry(budget_s=0)


def replay(serving: Serving, id: str, *more: str) -> subprocess.CompletedProcess[str]:
    """What the command prints."""
    command = [sys.executable, "-m", "service", "replay", id, "--server", serving.grpc, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


async def logged(client: AsyncClient, id: str) -> LoggedPrediction:
    """Once it is written."""
    while True:
        try:
            return await client.prediction(id)
        except NoSuchPrediction:
            await asyncio.sleep(0.01)


async def test_a_prediction_is_replayed(serve: Callable[..., Serving], nine: bytes, tmp_path: Path) -> None:
    """The same answer, with the feature maps of the worked example; a file that is gone is named."""
    serving = serve("guide", PREDICTION_SHARE="1", PREDICTION_DIR=str(tmp_path / "log"))
    async with AsyncClient(serving.grpc, retry=ONCE) as client:
        answer = await client.classify(nine, model="guide", id="order-7", options=Options(logits=True))
        found = await logged(client, "order-7")
        assert (found.answer, found.caller, found.served_version) == (answer, "anonymous", 1)
        maps = await client.features("**", Picture(id=found.picture_id), model="guide", version=found.served_version)
        assert maps.header.digest == answer.digest
        with pytest.raises(NoSuchPrediction, match="no prediction 'order-8' is kept"):
            await client.prediction("order-8")

        said = replay(serving, "order-7", "--out", str(tmp_path / "maps"))
        assert (said.returncode, said.stderr) == (0, "")
        assert "scores differ by 0 at most" in said.stdout
        values = [np.load(path) for path in (tmp_path / "maps").glob("*.npy")]
        assert any(sorted(each.ravel().tolist()) == [19, 25, 37, 43] for each in values)

        shutil.rmtree(serving.models / "guide")
        while any(model.state == "ready" for model in await client.models()):
            await asyncio.sleep(0.01)
        gone = replay(serving, "order-7")
        assert gone.returncode == 1
        assert f"guide:1 is not served any more as the file {answer.digest}" in gone.stdout

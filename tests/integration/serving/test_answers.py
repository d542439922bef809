"""Under concurrency every answer is the one that the network gives offline."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.client import AsyncClient, Options
from service.core.errors import BadImage
from service.core.image import Limits, decode
from service.core.messages import ModelKey
from service.engine.loading import EnginePolicy, load
from service.engine.store import ModelStore
from tests.serving import PATIENT, ZOO, Serving

REQUESTS = 10_000
MODELS = tuple(ModelStore(ZOO).versions())
FORMATS = ("PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG")
OFFLINE = EnginePolicy(("cpu",), "exact", lanes=1, intra_op_threads=1, batch=1)


@dataclass(frozen=True)
class Question:
    """A picture for a model, with the logits that one image at a time gives offline; None where it is damaged."""

    model: str
    image: bytes
    logits: tuple[float, ...] | None


def questions(model: str, rng: np.random.Generator) -> list[Question]:
    """Stored samples of a model in every format, a colour picture of another size, and a truncated file."""
    stored = ModelStore(ZOO).open(ModelKey(model, 1))
    engine = load(stored, OFFLINE)
    pictures = [Image.fromarray(pixels[:, :, 0]) for pixels in stored.samples().pixels[:8]]
    pictures.append(Image.fromarray(rng.integers(0, 256, (40, 33, 3), np.uint8)))
    asked = []
    for picture in pictures:
        for form in FORMATS:
            file = io.BytesIO()
            picture.save(file, form)
            pixels = decode(file.getvalue(), stored.spec, Limits())
            asked.append(Question(model, file.getvalue(), tuple(engine.run(pixels[None])[0].tolist())))
    half = asked[0].image[: len(asked[0].image) // 2]
    return [*asked, Question(model, half, None)]


@pytest.mark.slow
async def test_ten_thousand_mixed_requests(serve: Callable[..., Serving], tmp_path: Path) -> None:
    """All shipped models, six formats, damaged files among them, 64 at once: each answer is its own question's."""
    del tmp_path
    rng = np.random.default_rng(1)
    asked = [question for model in MODELS for question in questions(model, rng)]
    chosen = random.Random(2).choices(asked, k=REQUESTS)
    serving = serve(*MODELS)
    room = asyncio.Semaphore(64)

    async def check(client: AsyncClient, question: Question) -> None:
        async with room:
            if question.logits is None:
                with pytest.raises(BadImage, match="image"):
                    await client.classify(question.image, model=question.model)
                return
            answer = await client.classify(question.image, model=question.model, options=Options(logits=True))
            assert answer.model.name == question.model
            np.testing.assert_allclose(answer.logits, question.logits, rtol=1e-4, atol=1e-4)
            assert answer.predictions[0].index == int(np.argmax(question.logits))

    async with AsyncClient(serving.grpc, retry=PATIENT) as client, asyncio.TaskGroup() as checks:
        for question in chosen:
            checks.create_task(check(client, question))

"""What may stand behind the question mark. One definition each: it checks the text and describes itself to OpenAPI."""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from service.core.attribution import AttributionRequest, Method
from service.core.encodings import Encoding, Kind, Range
from service.core.errors import InvalidInput
from service.core.faithfulness import Check
from service.core.geometry import Box
from service.core.introspection import Kernels, Picture
from service.core.layers import Role, Selector
from service.core.maps import Channels, Key, Region, Span, TopK, Wanted
from service.core.overlay import Overlay
from service.core.perturbation import Fill, Occlusion, Rise

Asked = TypeVar("Asked", bound="Query")
_ID = r"^[0-9a-f]{64}$"
#: More digits than that count nothing that is asked for, and Python refuses to read thousands.
_NUMBER = r"[0-9]{1,9}"
_NUMBERS = rf"{_NUMBER}(,{_NUMBER})*"


class Query(BaseModel):
    """Parameters of one kind of request; each may be given once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(0, ge=0, description="version of the model; 0 is the latest ready one")
    digest: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        description="SHA-256 of the model file that is meant: any other is refused (412), and the answer may be cached "
        "for ever",
    )

    @classmethod
    def of(cls, request: Request) -> Self:
        """The parameters of a request; raises `InvalidInput` naming the first one that is wrong."""
        try:
            return cls.model_validate(dict(request.query_params))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in first["loc"])
            raise InvalidInput(name, first["msg"], repr(first["input"])) from None

    @classmethod
    def parameters(cls) -> list[dict[str, Any]]:
        """What OpenAPI says about them."""
        schema = cls.model_json_schema()
        required = schema.get("required", [])
        return [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                "description": field.pop("description", ""),
                "schema": {key: value for key, value in field.items() if key != "title"},
            }
            for name, field in schema["properties"].items()
        ]


class LayersQuery(Query):
    """Which layers are listed."""

    include: str = Field("", description="patterns, with commas between: features.*,**.conv2")
    exclude: str = Field("", description="patterns of layers to leave out")
    role: Literal["", *(role.value for role in Role)] = Field("", description="of this role only")  # type: ignore[valid-type]
    op: str = Field("", description="with this ONNX operation only: Conv")
    class_name: str = Field("", description="of this PyTorch class only: Conv2d")
    max_depth: int = Field(0, ge=0, description="1 for top-level modules only; 0 for any")

    def selector(self) -> Selector:
        """In the core's words."""
        return Selector(
            include=_words(self.include),
            exclude=_words(self.exclude),
            roles=frozenset([Role(self.role)] if self.role else []),
            ops=frozenset(_words(self.op)),
            class_names=frozenset(_words(self.class_name)),
            max_depth=self.max_depth,
        )


class PictureQuery(Query):
    """A question about a picture that was sent before."""

    image: str = Field(pattern=_ID, description="id of the picture, as POST /v1/images gave it")


class MapsQuery(PictureQuery):
    """Which part of a layer's feature maps, and how it is shown."""

    channels: str = Field(
        "", pattern=rf"^({_NUMBERS}|{_NUMBER}-({_NUMBER})?)?$", description="0,3,7 or 16-31 or 16-; all if empty"
    )
    top_k: int = Field(0, ge=0, description="only so many channels, by `key`; 0 for all")
    key: Literal["mean", "max", "l2", "std", "contribution"] = Field("mean", description="what `top_k` ranks by")
    class_index: int = Field(0, ge=0, description="the class that `contribution` is meant for")
    region: str = Field(
        "", pattern=rf"^({_NUMBER}(,{_NUMBER}){{3}})?$", description="y0,x0,y1,x1; the ends not included"
    )
    region_of: Literal["feature", "input"] = Field("feature", description="whether `region` counts units or pixels")
    kernels: Literal["", *(kernels.value for kernels in Kernels)] = Field(  # type: ignore[valid-type]
        "", description="which arithmetic is looked at; empty: reference, and unfused for .json"
    )

    range: Literal["per channel", "per layer", "symmetric", "fixed", "percentile"] = Field(
        "per layer", description="which values the levels of uint8, or the colours of PNG, stand for"
    )
    low: float = Field(0.0, description="of range=fixed")
    high: float = Field(0.0, description="of range=fixed")
    percentile: float = Field(1.0, description="of range=percentile")
    encoding: Literal["float32", "float16", "uint8"] = Field("float32", description="of .bin")
    colormap: str = Field("", description="of .png: viridis, cividis, gray, rdbu, puor; by sign if empty")
    max_side: int = Field(0, ge=0, description="larger maps are averaged down (.png, uint8); 0: no limit")
    min_side: int = Field(0, ge=0, le=1024, description="smaller tiles are enlarged (.png); 0: no limit")
    columns: int = Field(0, ge=0, description="tiles in a row (.png); 0: as many as rows")

    per_channel: bool = Field(False, description="statistics of each channel, too (.json)")  # noqa: FBT003
    percentiles: bool = Field(False, description="1, 5, 25, 50, 75, 95 and 99 (.json)")  # noqa: FBT003
    histogram: bool = Field(False, description="32 bins from min to max (.json)")  # noqa: FBT003

    def wanted(self) -> Wanted:
        """Which part, in the core's words."""
        return Wanted(
            channels=self._channels(),
            region=Region(Box(*_integers(self.region)), self.region_of == "input") if self.region else None,
            per_channel=self.per_channel,
            percentiles=self.percentiles,
            histogram=self.histogram,
        )

    def encoded(self, form: str) -> Encoding:
        """How the answer with this ending is written."""
        return Encoding(
            kind=Kind(self.encoding) if form == "bin" else KINDS[form],
            range=Range(self.range),
            low=self.low,
            high=self.high,
            percentile=self.percentile,
            colormap=self.colormap,
            max_side=self.max_side,
            min_side=self.min_side,
            tile_columns=self.columns,
        )

    def arithmetic(self) -> Kernels | None:
        """In the core's words."""
        return Kernels(self.kernels) if self.kernels else None

    def _channels(self) -> Channels:
        if self.top_k:
            return TopK(self.top_k, Key(self.key), self.class_index)
        if "-" in self.channels:
            start, _, last = self.channels.partition("-")
            return Span(int(start), int(last) + 1 if last else 0)
        return _integers(self.channels) if self.channels else None


#: What each ending of a feature map's address is; "bin" leaves it to `encoding`.
KINDS = {"png": Kind.PNG, "npy": Kind.NPY, "json": Kind.STATISTICS}
FORMS = ("png", "npy", "bin", "json")


class UnitQuery(PictureQuery):
    """Which unit is explained."""

    layer: str = Field(min_length=1, description="id of the layer")
    channel: int = Field(0, ge=0)
    y: int = Field(0, ge=0)
    x: int = Field(0, ge=0)


class AttributionQuery(PictureQuery):
    """Evidence for which class, found how."""

    method: Literal[*(method.value for method in Method)] = Field(  # type: ignore[valid-type]
        "auto", description="auto: the most exact one that the network allows"
    )
    layer: str = Field("", description="id of the layer; empty: the last map that everything goes through")
    target: str = Field("", description="label or index of the class; empty: the picture's best")
    versus: str = Field("", description="evidence for `target` rather than for this class")
    signed: bool = Field(False, description="keep evidence against the class")  # noqa: FBT003
    fill: Literal["mean", "blur", "black", "white"] = Field("mean", description="what hides: of occlusion and rise")
    patch: int = Field(0, ge=0, description="of occlusion, in pixels; 0: a 6th of the shorter side")
    stride: int = Field(0, ge=0, description="of occlusion, in pixels; 0: half of the patch")
    masks: int = Field(1000, ge=1, description="of rise")
    cells: int = Field(7, ge=2, le=64, description="of rise: along a side of a mask")
    keep: float = Field(0.5, gt=0, lt=1, description="of rise: the share of cells that is shown")
    seed: int = Field(0, ge=0, description="of rise, and of the random maps of `check`")
    check: bool = Field(False, description="insertion and deletion beside random maps (.json)")  # noqa: FBT003
    colormap: str = Field("", description="of .png: viridis, cividis, gray, rdbu, puor; by sign if empty")
    min_side: int = Field(280, ge=0, le=2048, description="smaller pictures are enlarged (.png)")
    legend: bool = Field(True, description="title, and scale with numbers (.png)")  # noqa: FBT003

    def request(self, model: str, form: str, deadline: float) -> AttributionRequest:
        """In the core's words."""
        return AttributionRequest(
            model,
            self.version,
            Picture(id=self.image),
            Method(self.method),
            self.layer,
            self.target or None,
            self.versus or None,
            signed=self.signed,
            fill=Fill(self.fill),
            occlusion=Occlusion(self.patch, self.stride),
            rise=Rise(self.masks, self.cells, self.keep, self.seed),
            overlay=Overlay(self.colormap, self.min_side, self.legend) if form == "png" else None,
            check=Check(seed=self.seed) if self.check and form == "json" else None,
            deadline=deadline,
        )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))

"""The `vitrine` command. Each command imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Serve image classifiers over gRPC.")

Server = Annotated[str, typer.Option(envvar="VITRINE_SERVER", help="gRPC address of the server, HOST:PORT")]
PictureFile = Annotated[Path, typer.Argument(help="the picture", exists=True, dir_okay=False)]
LOCAL = "127.0.0.1:50051"

#: Exit codes: some pictures failed; the command itself could not be done.
FAILED, IMPOSSIBLE = 1, 2


def main() -> None:
    """Run a command; what is a caller's to mend is one line on stderr."""
    from service.core.errors import ServiceError  # noqa: PLC0415 - on purpose, see above

    try:
        app()
    except ServiceError as error:
        print(f"vitrine: {error}", file=sys.stderr)  # noqa: T201 - a command speaks to its terminal
        sys.exit(IMPOSSIBLE)


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def serve(context: typer.Context) -> None:
    """Serve the models of a folder; `vitrine serve --help` lists the options."""
    from service.commands.serve import app as serving  # noqa: PLC0415

    serving(context.args, prog_name="vitrine serve")


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def worker(context: typer.Context) -> None:
    """Compute for front-ends that queue in Redis; `vitrine worker --help` lists the options."""
    from service.commands.worker import app as working  # noqa: PLC0415

    working(context.args, prog_name="vitrine worker")


@app.command(add_help_option=False, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def doctor(context: typer.Context) -> None:
    """Check a deployment and say what to mend; `vitrine doctor --help` lists the options."""
    from service.commands.doctor import app as checking  # noqa: PLC0415

    checking(context.args, prog_name="vitrine doctor")


@app.command()
def models(
    server: Server = LOCAL,
    *,
    tuning: Annotated[bool, typer.Option("--tuning", help="also show what was measured at load")] = False,
) -> None:
    """List what a server serves, in which state, and how fast."""
    from service.commands.models import show  # noqa: PLC0415

    show(server, tuning=tuning)


@app.command()
def replay(
    id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="the id that the request had")],
    *,
    server: Server = LOCAL,
    layers: Annotated[list[str] | None, typer.Option(help="patterns of layers; all modules if none is given")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the feature maps, as NumPy files")] = None,
) -> None:
    """Answer a logged request again, by the file that answered it, and show what its layers see.

    Exit code 1 when it cannot be replayed.
    """
    from service.commands.replay import run  # noqa: PLC0415

    raise typer.Exit(0 if run(server, id, layers or (), out) else FAILED)


route = typer.Typer(no_args_is_help=True, help="Which version callers of a model get: labels, splits, shadows.")
app.add_typer(route, name="route")
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="name of the model")]


@route.command("show")
def show_route(model: ModelName, *, server: Server = LOCAL) -> None:
    """Print the routing in force."""
    from service.commands.route import show  # noqa: PLC0415

    show(server, model)


@route.command("set")
def set_route(
    model: ModelName,
    *,
    server: Server = LOCAL,
    label: Annotated[list[str] | None, typer.Option(metavar="LABEL=VERSION", help="name a version; repeatable")] = None,
    split: Annotated[
        list[str] | None, typer.Option(metavar="LABEL=WEIGHT", help="share of a label; repeat for all of them")
    ] = None,
    shadow: Annotated[
        str | None, typer.Option(metavar="LABEL[=SHARE]", help='send it copies (0.1: of a tenth); "" to stop')
    ] = None,
) -> None:
    """Change labels, the split between them, or the shadow; what is not given stays."""
    from service.commands.route import change  # noqa: PLC0415

    change(server, model, label or (), split or (), shadow)


@route.command("rollback")
def roll_back_route(model: ModelName, *, server: Server = LOCAL) -> None:
    """Put the routing before in force again, at once."""
    from service.commands.route import roll_back  # noqa: PLC0415

    roll_back(server, model)


@route.command("clear")
def clear_route(model: ModelName, *, server: Server = LOCAL) -> None:
    """Let callers get the latest version again."""
    from service.commands.route import clear  # noqa: PLC0415

    clear(server, model)


@app.command()
def version() -> None:
    """Print the version and those of what it stands on."""
    from service.commands.version import lines  # noqa: PLC0415

    typer.echo("\n".join(lines()))


@app.command()
def health(
    server: Server = LOCAL,
    *,
    service: Annotated[str, typer.Option(help="a gRPC service or model; all of the server when unset")] = "",
    http: Annotated[str, typer.Option(metavar="URL", help="ask this /readyz instead: workers have no gRPC")] = "",
    timeout_s: Annotated[float, typer.Option(min=0.001, help="seconds to wait for the answer")] = 4.0,
) -> None:
    """Say whether a server (grpc.health.v1) or a worker (/readyz) may be sent work. Exit code 1 when not."""
    from service.commands.health import grpc_state, http_state  # noqa: PLC0415

    serving, word = http_state(http, timeout_s) if http else grpc_state(server, service, timeout_s)
    typer.echo(word)
    raise typer.Exit(0 if serving else FAILED)


@app.command()
def classify(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH|DIR|-", help="pictures, folders, or - for paths on stdin")
    ],
    *,
    model: Annotated[str, typer.Option(help="name of the model")],
    server: Server = LOCAL,
    model_version: Annotated[int, typer.Option(min=0, help="version of the model; 0 is the latest")] = 0,
    top_k: Annotated[int, typer.Option(min=1, help="how many classes to return, best first")] = 5,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="leave out classes that score below this")] = 0.0,
    form: Annotated[Literal["table", "jsonl", "csv"], typer.Option("--format", help="what to write")] = "table",
    concurrency: Annotated[int, typer.Option(min=1, help="pictures in flight at once")] = 16,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="seconds for one picture, retries included")] = 30.0,
    output: Annotated[Path | None, typer.Option(help="file to write to instead of stdout")] = None,
    wait_s: Annotated[float, typer.Option(min=0, help="seconds to wait for the server and the model")] = 0.0,
) -> None:
    """Classify pictures, folders of them, or paths from stdin. Exit code 1 when any of them failed."""
    from service.commands.classify import Job, run  # noqa: PLC0415
    from service.core.messages import Options  # noqa: PLC0415

    options = Options(top_k, min_score)
    job = Job(server, model, model_version, options, form, concurrency, timeout_s, output, wait_s)
    raise typer.Exit(FAILED if run(job, paths) else 0)


jobs = typer.Typer(no_args_is_help=True, help="Durable sets of pictures: submitted once, computed whatever happens.")
app.add_typer(jobs, name="jobs")


@jobs.command("submit")
def submit_job(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="DIR|LIST", help="folders, pictures, URIs, or text files of these")
    ] = None,
    *,
    server: Server = LOCAL,
    model: Annotated[str, typer.Option(help="name of the model")] = "",
    model_version: Annotated[int, typer.Option(min=0, help="version of the model; 0 is the latest")] = 0,
    top_k: Annotated[int, typer.Option(min=1, help="how many classes to return, best first")] = 5,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="leave out classes that score below this")] = 0.0,
    priority: Annotated[Literal["low", "normal", "high"], typer.Option(help="share beside other jobs")] = "normal",
    ttl_s: Annotated[int, typer.Option(min=1, help="seconds to keep it after its last change")] = 7 * 24 * 3600,
    wait: Annotated[bool, typer.Option("--wait", help="wait for the results")] = False,
    out: Annotated[Path | None, typer.Option(help="file for the results: .jsonl, .csv or .parquet; waits")] = None,
    resume: Annotated[str, typer.Option(metavar="ID", help="go on with a job that was interrupted")] = "",
) -> None:
    """Hand in pictures as one job. Interrupting it loses nothing: --resume ID goes on where it was."""
    from service.commands.jobs import Submission, submit  # noqa: PLC0415
    from service.core.jobs import JobPriority, Order  # noqa: PLC0415
    from service.core.messages import Options  # noqa: PLC0415

    if not resume and not (model and paths):
        raise typer.BadParameter("--model NAME and what to submit are needed, or --resume ID")
    order = Order(model, model_version, Options(top_k, min_score), JobPriority[priority.upper()], ttl_s)
    failed = submit(Submission(server, order, resume, wait, out), paths or [])
    raise typer.Exit(FAILED if failed else 0)


JobId = Annotated[str, typer.Argument(metavar="ID", help="the job, as `submit` named it")]


@jobs.command("watch")
def watch_job(id: JobId, *, server: Server = LOCAL) -> None:
    """Show how a job goes on until it has ended. Exit code 1 when any of its items failed."""
    from service.commands.jobs import watch  # noqa: PLC0415

    raise typer.Exit(FAILED if watch(server, id) else 0)


@jobs.command("list")
def list_jobs(*, server: Server = LOCAL) -> None:
    """List the jobs that are kept, newest first."""
    from service.commands.jobs import overview  # noqa: PLC0415

    overview(server)


@jobs.command("show")
def show_job(id: JobId, *, server: Server = LOCAL) -> None:
    """Print all that is known of a job."""
    from service.commands.jobs import show  # noqa: PLC0415

    show(server, id)


@jobs.command("results")
def fetch_results(
    id: JobId,
    *,
    server: Server = LOCAL,
    out: Annotated[Path | None, typer.Option(help="file: .jsonl, .csv or .parquet; else JSON lines on stdout")] = None,
) -> None:
    """Write the results that are there by now. Exit code 1 when any of them is a failure."""
    from service.commands.jobs import fetch  # noqa: PLC0415

    raise typer.Exit(FAILED if fetch(server, id, out) else 0)


@jobs.command("cancel")
def cancel_job(id: JobId, *, server: Server = LOCAL) -> None:
    """Have no more of a job computed; what is computed stays."""
    from service.commands.jobs import cancel  # noqa: PLC0415

    cancel(server, id)


@app.command()
def layers(
    model: Annotated[str, typer.Argument(help="name of the model")],
    patterns: Annotated[list[str] | None, typer.Argument(help="which layers: 'features.*' '**.conv2'")] = None,
    *,
    server: Server = LOCAL,
    model_version: Annotated[int, typer.Option(min=0, help="version of the model; 0 is the latest")] = 0,
) -> None:
    """Show the modules of a model as a tree: what they put out, how far they see, what they cost."""
    from service.commands.layers import show  # noqa: PLC0415

    show(server, model, model_version, patterns or ())


@app.command()
def features(
    image: PictureFile,
    *,
    model: Annotated[str, typer.Option(help="name of the model")],
    layers: Annotated[list[str] | None, typer.Option(help="patterns of layers; all modules if none is given")] = None,
    form: Annotated[Literal["png", "npy", "html"], typer.Option("--format", help="what to write")] = "png",
    out: Annotated[Path, typer.Option(help="folder for the files")] = Path("features"),
    channels: Annotated[
        int | None, typer.Option(min=0, help="the strongest so many of each layer, 0 for all; pictures show 64")
    ] = None,
    kernels: Annotated[Literal["reference", "as served"], typer.Option(help="whose arithmetic")] = "reference",
    server: Server = LOCAL,
    model_version: Annotated[int, typer.Option(min=0, help="version of the model; 0 is the latest")] = 0,
    timeout_s: Annotated[float, typer.Option(min=0.001, help="seconds for all of it")] = 300.0,
) -> None:
    """Write what the layers of a model saw in a picture: PNG sheets, NumPy files, or one HTML report."""
    from service.commands.features import SHOWN, Job, run  # noqa: PLC0415
    from service.core.introspection import Kernels  # noqa: PLC0415

    shown = channels if channels is not None else 0 if form == "npy" else SHOWN
    job = Job(server, model, model_version, layers or (), image, form, out, shown, Kernels(kernels), timeout_s)
    run(job)


@app.command()
def explain(
    image: PictureFile,
    *,
    model: Annotated[str, typer.Option(help="name of the model")],
    layer: Annotated[str, typer.Option(help="the layer's id, as `vitrine layers` shows it")],
    at: Annotated[list[str] | None, typer.Option(metavar="C,Y,X", help="channel and place; may be repeated")] = None,
    top: Annotated[int, typer.Option(min=1, help="terms of a sum to show, the largest first")] = 8,
    server: Server = LOCAL,
    model_version: Annotated[int, typer.Option(min=0, help="version of the model; 0 is the latest")] = 0,
) -> None:
    """Show every factor behind one value of a layer: products, sums, what lay in the padding."""
    from service.commands.explain import Job, run  # noqa: PLC0415

    run(Job(server, model, model_version, layer, at or ["0,0,0"], image, top))


@app.command()
def attribute(
    image: PictureFile,
    *,
    model: Annotated[str, typer.Option(help="name of the model")],
    out: Annotated[Path, typer.Option(metavar="FILE.png|.npy", help="the painted picture, or the map's numbers")],
    method: Annotated[
        Literal["auto", "cam", "gradcam", "hirescam", "layercam", "reciprocam", "occlusion", "rise"],
        typer.Option(help="auto: the most exact one that the network allows"),
    ] = "auto",
    target: Annotated[str | None, typer.Option("--class", help="label or index; the picture's best class")] = None,
    versus: Annotated[str | None, typer.Option(help="evidence for the class rather than for this one")] = None,
    layer: Annotated[str, typer.Option(help="the layer's id; the last map that everything goes through")] = "",
    signed: Annotated[bool, typer.Option("--signed", help="keep evidence against the class")] = False,
    masks: Annotated[int, typer.Option(min=1, help="of rise")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="of rise, and of the random maps of --check")] = 0,
    patch: Annotated[int, typer.Option(min=0, help="of occlusion, in pixels; 0: a 6th of the shorter side")] = 0,
    stride: Annotated[int, typer.Option(min=0, help="of occlusion, in pixels; 0: half of the patch")] = 0,
    fill: Annotated[
        Literal["mean", "blur", "black", "white"], typer.Option(help="what stands where the picture is hidden")
    ] = "mean",
    check: Annotated[bool, typer.Option("--check", help="insertion and deletion, beside random maps")] = False,
    server: Server = LOCAL,
    model_version: Annotated[int, typer.Option(min=0, help="version of the model; 0 is the latest")] = 0,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="seconds for the whole answer")] = 300.0,
) -> None:
    """Show where in a picture the evidence for a class is."""
    from service.commands.attribute import run  # noqa: PLC0415
    from service.core.attribution import AttributionRequest, Method  # noqa: PLC0415
    from service.core.faithfulness import Check  # noqa: PLC0415
    from service.core.introspection import Picture  # noqa: PLC0415
    from service.core.perturbation import Fill, Occlusion, Rise  # noqa: PLC0415

    request = AttributionRequest(
        model,
        model_version,
        Picture(image.read_bytes()),
        Method(method),
        layer,
        target,
        versus,
        signed=signed,
        fill=Fill(fill),
        occlusion=Occlusion(patch, stride),
        rise=Rise(masks, seed=seed),
        check=Check(seed=seed) if check else None,
    )
    run(server, request, out, timeout_s)


Model = Annotated[str, typer.Argument(metavar="MODEL[:VERSION]", help="a served model; its latest version")]
Pictures = Annotated[list[Path] | None, typer.Argument(help="pictures; the samples stored with the model if none")]
LayerPatterns = Annotated[list[str] | None, typer.Option(help="patterns of layers; all modules if none is given")]
KernelsWanted = Annotated[Literal["reference", "as served"], typer.Option(help="which arithmetic")]
Patience = Annotated[float, typer.Option(min=0.1, help="seconds for the whole answer")]


def _versioned(text: str) -> tuple[str, int]:
    """The name and the number of MODEL or MODEL:VERSION, 0 for the latest."""
    name, _, number = text.partition(":")
    if number and not number.isdecimal():
        raise typer.BadParameter(f"the version must be a number, got {number!r}")
    return name, int(number or 0)


@app.command()
def diagnose(
    model: Model,
    images: Pictures = None,
    *,
    layers: LayerPatterns = None,
    kernels: KernelsWanted = "reference",
    server: Server = LOCAL,
    timeout_s: Patience = 300.0,
) -> None:
    """Find what is wrong inside a model: NaN and where it began, dead and saturated channels, drift."""
    from service.commands.examine import diagnose as ask  # noqa: PLC0415
    from service.commands.examine import pictures  # noqa: PLC0415
    from service.core.diagnostics import DiagnoseRequest  # noqa: PLC0415
    from service.core.introspection import Kernels  # noqa: PLC0415
    from service.core.layers import Selector  # noqa: PLC0415

    name, version = _versioned(model)
    chosen = Selector(tuple(layers or ()))
    ask(server, DiagnoseRequest(name, version, pictures(images or ()), chosen, Kernels(kernels)), timeout_s)


@app.command()
def compare(
    model: Model,
    other: Annotated[str, typer.Argument(metavar="OTHER[:VERSION]", help="what to compare it with")],
    images: Pictures = None,
    *,
    layers: LayerPatterns = None,
    kernels: KernelsWanted = "reference",
    threshold_db: Annotated[float | None, typer.Option(help="a layer below this diverges; by variant if unset")] = None,
    server: Server = LOCAL,
    timeout_s: Patience = 300.0,
) -> None:
    """Show layer by layer how far two versions are apart, and where they part: digits:1 digits:2."""
    from service.commands.examine import compare as ask  # noqa: PLC0415
    from service.commands.examine import pictures  # noqa: PLC0415
    from service.core.diagnostics import CompareRequest  # noqa: PLC0415
    from service.core.introspection import Kernels  # noqa: PLC0415
    from service.core.layers import Selector  # noqa: PLC0415

    request = CompareRequest(
        *_versioned(model),
        *_versioned(other),
        pictures=pictures(images or ()),
        layers=Selector(tuple(layers or ())),
        kernels=Kernels(kernels),
        threshold_db=threshold_db,
    )
    ask(server, request, timeout_s)


@app.command()
def profile(
    model: Model,
    *,
    batch: Annotated[int, typer.Option(min=0, help="pictures at once; 0 is the served batch")] = 0,
    runs: Annotated[int, typer.Option(min=0, help="runs to average; 0 is the server's choice")] = 0,
    server: Server = LOCAL,
    timeout_s: Patience = 120.0,
) -> None:
    """Show how long each layer takes as it is served, and which layers are one kernel."""
    from service.commands.examine import profile as ask  # noqa: PLC0415
    from service.core.diagnostics import ProfileRequest  # noqa: PLC0415

    name, version = _versioned(model)
    ask(server, ProfileRequest(name, version, batch, runs), timeout_s)


Redis = Annotated[str | None, typer.Option(envvar="VITRINE_REDIS", help="URL of the Redis with the queue")]
RedisPasswordFile = Annotated[
    Path | None, typer.Option(envvar="VITRINE_REDIS_PASSWORD_FILE", help="file with its password")
]
QueueForm = Annotated[Literal["table", "json"], typer.Option("--format", help="what to write")]
LetterName = Annotated[str, typer.Argument(metavar="LETTER", help="its name, as `list` shows it")]

queue = typer.Typer(help="Look at the queue in Redis: what waits, who works on it, what has died.")
dead = typer.Typer(no_args_is_help=True, help="Requests that have killed their workers too often.")
queue.add_typer(dead, name="dead")
app.add_typer(queue, name="queue")


@queue.callback(invoke_without_command=True)
def show_queue(
    context: typer.Context,
    *,
    redis: Redis = None,
    redis_password_file: RedisPasswordFile = None,
    once: Annotated[bool, typer.Option("--once", help="print it once instead of following it")] = False,
    form: QueueForm = "table",
    interval_s: Annotated[float, typer.Option(min=0.05, help="seconds between two looks")] = 1.0,
) -> None:
    """Follow the queue: depth by priority, oldest request, leases, workers, dead letters."""
    if context.invoked_subcommand is None:
        from service.commands.queue import Place, show  # noqa: PLC0415

        show(Place(redis, redis_password_file), once=once, form=form, interval_s=interval_s)


@dead.command("list")
def list_dead(*, redis: Redis = None, redis_password_file: RedisPasswordFile = None, form: QueueForm = "table") -> None:
    """List the dead letters."""
    from service.commands.queue import Place, show_letters  # noqa: PLC0415

    show_letters(Place(redis, redis_password_file), form)


@dead.command("show")
def show_dead(
    letter: LetterName,
    *,
    redis: Redis = None,
    redis_password_file: RedisPasswordFile = None,
    image: Annotated[Path | None, typer.Option(help="file to write its picture to")] = None,
) -> None:
    """Show one dead letter, and save its picture."""
    from service.commands.queue import Place, show_letter  # noqa: PLC0415

    show_letter(Place(redis, redis_password_file), letter, image)


@dead.command("retry")
def retry_dead(letter: LetterName, *, redis: Redis = None, redis_password_file: RedisPasswordFile = None) -> None:
    """Ask for its picture once more; when that is answered, the letter is dropped."""
    from service.commands.queue import Place, retry_letter  # noqa: PLC0415

    retry_letter(Place(redis, redis_password_file), letter)


@dead.command("drop")
def drop_dead(letter: LetterName, *, redis: Redis = None, redis_password_file: RedisPasswordFile = None) -> None:
    """Drop one dead letter."""
    from service.commands.queue import Place, drop_letter  # noqa: PLC0415

    drop_letter(Place(redis, redis_password_file), letter)


keys_app = typer.Typer(no_args_is_help=True, help="API keys of a server that asks who calls.")
app.add_typer(keys_app, name="keys")


@keys_app.command("new")
def new_key(
    name: Annotated[str, typer.Option(help="whom the key is for, as logs will call it")],
    *,
    scopes: Annotated[str, typer.Option(help="what it allows: infer,jobs,debug,admin")] = "infer",
    requests_per_s: Annotated[float | None, typer.Option(help="calls per second; unlimited when unset")] = None,
    bytes_per_s: Annotated[float | None, typer.Option(help="bytes sent per second; unlimited when unset")] = None,
    concurrent: Annotated[int | None, typer.Option(help="calls at once; unlimited when unset")] = None,
    file: Annotated[Path | None, typer.Option(help="the server's file of keys, to add the hash to")] = None,
) -> None:
    """Make an API key. The key goes to stdout, once; what the server keeps is its hash."""
    from service.commands.keys import new  # noqa: PLC0415

    limits = {"requests_per_s": requests_per_s, "bytes_per_s": bytes_per_s, "concurrent": concurrent}
    new(name, scopes.split(","), {key: value for key, value in limits.items() if value is not None}, file)

"""The command line: `python -m lib fetch | report | bundle | plan STUDY`."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lib.formatting import is_or_are, one_line, plural
from lib.runs import Manifest, computing_on, missing_keys, store_root
from lib.sources import Progress, Request, fetch, fetch_or_stored
from lib.study import InputError, Study, Task, as_number, load_study
from lib.workers import Cluster, open_cluster

if TYPE_CHECKING:
    import polars as pl

    from lib.effects import Pilot

FORMATS = ("html", "png", "svg", "pdf", "csv", "parquet")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status: 0 whole, 1 partial (fetch), 2 bad input, 130 stopped, 141 no reader left."""
    options = _parser().parse_args(arguments)
    # polars takes SIGINT with SA_RESTART: Ctrl-C would not end a read that waits for a disk or a network share.
    if hasattr(signal, "siginterrupt"):  # not on Windows, where nothing is restarted
        signal.siginterrupt(signal.SIGINT, True)
    try:
        study = load_study(options.study)
        return int(options.run(study, options))
    except InputError as error:
        _say(str(error))
        return 2
    except BrokenPipeError:
        # Whoever read stdout has gone.
        _leave_stdout()
        return 141
    except KeyboardInterrupt:
        _say("Stopped; what had come is kept.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    for name, run, text in (
        ("fetch", _fetch, "bring the store up to date"),
        ("report", _report, "write the study's figures and tables"),
        ("bundle", _bundle, "write the study as a bundle that opens anywhere"),
        (
            "plan",
            _plan,
            "say how many runs an effect or a margin needs, and what they cost; runs that may crash come on top",
        ),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("study", metavar="STUDY", help="a name in studies/ or the path of a TOML file")
        command.set_defaults(run=run)
        command.add_argument(
            "--trust-server",
            type=_server,
            metavar="URL",
            help="send your W&B key to this server, which the study names, over plain http too",
        )
        if name != "plan":
            command.add_argument(
                "--scheduler",
                metavar="ADDRESS",
                help="work on the workers of this Dask scheduler (tcp://host:8786), which see the same store",
            )
        if name == "fetch":
            command.add_argument("--refresh", action="store_true", help="ignore what is stored")
            command.add_argument("--json", action="store_true", help="print the manifest on stdout")
        elif name == "plan":
            _add_plan_arguments(command)
        else:
            command.add_argument("--out", required=True, type=Path, metavar="DIR" if name == "report" else "FILE.zip")
        if name == "report":
            command.add_argument("--curves", choices=("aligned", "exact"), default="aligned")
            command.add_argument("--json", action="store_true", help="print claims.json on stdout")
            command.add_argument("--formats", type=_formats, default=("html", "csv"), metavar=",".join(FORMATS))
    return parser


def _add_plan_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--change", type=_percent, action="append", metavar="PERCENT", help="a change to show")
    command.add_argument("--spread-of", metavar="STUDY", help="plan with the spread of this study's runs")
    command.add_argument("--json", action="store_true", help="print the plan as JSON on stdout")


def _percent(text: str) -> float:
    value = as_number(text.removesuffix("%"))
    if value is None or not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"'{text}' is not a change in percent between 0 and 100")
    return value


def _formats(text: str) -> tuple[str, ...]:
    formats = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [part for part in formats if part not in FORMATS]
    if unknown or not formats:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of formats: choose from {', '.join(FORMATS)}")
    return formats


def _server(text: str) -> str:
    from lib.sources import server_address

    try:
        return server_address(text, "the address")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fetch(study: Study, options: argparse.Namespace) -> int:
    with _cluster(options) as cluster:
        manifest = fetch(study, _request(study, options.trust_server, options.refresh, cluster))
    _say_problems(study, manifest)
    if options.json:
        _print(manifest.to_json())
    else:
        _say(f"{plural(len(manifest.runs), 'run')} of {study.name} {is_or_are(len(manifest.runs))} stored.")
    return 0 if manifest.whole else 1


def _report(study: Study, options: argparse.Namespace) -> int:
    from lib.curves import View
    from lib.report import CLAIMS_JSON, check_folder, write_report

    check_folder(options.out)
    with _cluster(options) as cluster, computing_on(cluster):
        manifest = _fetched_or_stored(study, options.trust_server, cluster)
        paths = write_report(study, manifest, options.out, View(grid=options.curves), options.formats, _say)
    if options.json:
        _print((options.out / CLAIMS_JSON).read_text(encoding="utf-8"))
    _say(f"{plural(len(paths), 'file')} {is_or_are(len(paths))} in {options.out}.")
    return 0


def _bundle(study: Study, options: argparse.Namespace) -> int:
    from lib.report import check_folder
    from lib.sources import write_bundle

    check_folder(options.out.parent if options.out.suffix.lower() == ".zip" else options.out)
    with _cluster(options) as cluster:
        manifest = _fetched_or_stored(study, options.trust_server, cluster)
    write_bundle(study, manifest, options.out)
    _say(f"{plural(len(manifest.runs), 'run')} {is_or_are(len(manifest.runs))} in {options.out}.")
    return 0


def _plan(study: Study, options: argparse.Namespace) -> int:
    from lib.effects import ALL_TASKS, CHANGES, fixed_step_note, plan

    pilots = _pilots(study, options)
    needed = plan(study, pilots, options.change or CHANGES)
    if needed.is_empty():
        _say(_no_spread(study, options.spread_of))
        return 2
    if options.json:
        _print(needed.write_json())
        return 0
    for row in needed.iter_rows(named=True):
        name = study.metric(row["metric"]).name
        task = "across tasks" if row["task"] == ALL_TASKS else row["task"]
        _print(_line(f"{task}, {name}: {row['target']}: {row['text']}{_corrected(row)}"))
    for task in study.tasks:
        if note := fixed_step_note(task):
            _say(note)
        _print_start(study, task, needed.filter(task=task.key).drop_nulls("n"))
    return 0


def _pilots(study: Study, options: argparse.Namespace) -> "tuple[Pilot, ...]":
    """What the study's own runs, or those of another, tell of its claims."""
    from lib.effects import analyse, pilots, pilots_of

    if not options.spread_of:
        try:
            manifest = _fetched_or_stored(study, options.trust_server)
        except InputError as error:
            raise InputError(f"{error} To plan with the runs of another study, name it with --spread-of.") from None
        return pilots(analyse(study, manifest))
    other = load_study(options.spread_of)
    return pilots_of(study, analyse(other, _fetched_or_stored(other, options.trust_server)))


def _no_spread(study: Study, other: str | None) -> str:
    if other:
        return f"No metric of {study.name} has three runs or more in {other}: name another study with --spread-of."
    return f"{study.name} has no three runs to tell the spread from: name a study that has some with --spread-of."


def _corrected(row: dict[str, Any]) -> str:
    """What a needed size becomes for a claim that is one of several."""
    from lib.effects import MOST

    if row["claims"] < 2 or row["n"] is None:
        return ""
    corrected = f"more than {MOST}" if row["n_corrected"] is None else row["n_corrected"]
    return f"; {corrected} if corrected for {row['claims']} claims"


def _print_start(study: Study, task: Task, needed: "pl.DataFrame") -> None:
    """What starts the runs that show the smallest change in every metric of a task, by its strongest design."""
    from lib.effects import DESIGNS
    from lib.report import start_text

    if needed.is_empty():
        return
    design = next(design for design in DESIGNS if design in needed["design"])
    of_design = needed.filter(design=design)
    smallest = of_design.filter(target=of_design["target"][0])
    n = max(smallest["n"])
    _print(f"\nFor {task.title}, {of_design['target'][0]} in every metric that allows it:\n")
    _print(start_text(study, task, design, n))


def _fetched_or_stored(study: Study, trusted: str | None, cluster: Cluster | None = None) -> Manifest:
    manifest = fetch_or_stored(study, _request(study, trusted, cluster=cluster), _say)
    _say_problems(study, manifest)
    return manifest


def _cluster(options: argparse.Namespace) -> AbstractContextManager[Cluster | None]:
    """The workers of the cluster that the command names."""
    return open_cluster(options.scheduler, store_root()) if options.scheduler else nullcontext()


def _request(study: Study, trusted: str | None, refresh: bool = False, cluster: Cluster | None = None) -> Request:
    """The request with the user's own key, where that may go to the study's server."""
    key = None
    if study.source.kind == "wandb":
        from lib.sources import resolve_key, server_of

        key = resolve_key(server_of(study), trusted)
    return Request(key=key, refresh=refresh, progress=_show, cluster=cluster)


def _say_problems(study: Study, manifest: Manifest) -> None:
    for message in (*(problem.message for problem in manifest.problems), *missing_keys(study, manifest)):
        _say(f"Warning: {message}")


def _show(progress: Progress) -> None:
    _say(f"[{progress.done}/{progress.total}] {progress.message}")


def _print(text: str) -> None:
    """What a command gives, on stdout."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        _leave_stdout()
        raise InputError(f"The output cannot be written ({error.strerror}): choose another place for it.") from None


def _leave_stdout() -> None:
    """See that what is still buffered is not tried again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    """One line on stderr, whatever names it holds."""
    print(_line(text), file=sys.stderr, flush=True)


def _line(text: str) -> str:
    return one_line(text, len(text))


if __name__ == "__main__":
    sys.exit(main())

"""`podcaster runs` and `podcaster config`: what is in the workspace."""

from typing import Annotated

import typer

from podcaster.commands.telling import PLAIN, Home, Json, RunName, emit, resolve_home, told

runs_app = typer.Typer(help="The runs of this workspace.", **PLAIN)


@runs_app.command("list")
@told
def runs_list(json_output: Json = False, home: Home = None) -> None:
    """List the runs, oldest first."""
    from podcaster import inspection
    from podcaster.terminal import format_table

    rows = inspection.list_run_rows(resolve_home(home))
    text = format_table(
        ("RUN", "DONE", "LENGTH", "TITLE"),
        [(row["run"], row["done"], row["length"], row["title"]) for row in rows],
    )
    emit({"runs": rows}, as_json=json_output, text=text if rows else "There are no runs yet.")


@runs_app.command("show")
@told
def runs_show(run: RunName, json_output: Json = False, home: Home = None) -> None:
    """Show a run's stages, counts and files."""
    from podcaster import inspection

    shown = inspection.show_run(resolve_home(home), run)
    emit(shown, as_json=json_output, text=inspection.format_shown(shown))


@runs_app.command("why")
@told
def runs_why(run: RunName, json_output: Json = False, home: Home = None) -> None:
    """Say what `resume` would redo, and because of which field."""
    from podcaster import inspection
    from podcaster.terminal import format_table

    rows = inspection.explain(resolve_home(home), run)
    text = format_table(
        ("STAGE", "REDO", "WHY"),
        [(row["stage"], "yes" if row["redo"] else "no", row["reason"]) for row in rows],
    )
    emit({"run": run, "stages": rows}, as_json=json_output, text=text)


@runs_app.command("clean")
@told
def runs_clean(
    run: RunName,
    everything: Annotated[
        bool, typer.Option("--all", help="Remove the whole run, the episode included.")
    ] = False,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Remove a finished run's clips, which can be made again; with --all, the whole run."""
    from podcaster import inspection
    from podcaster.units import format_bytes

    name, freed_bytes = inspection.clean_run(resolve_home(home), run, everything=everything)
    emit(
        {"run": name, "freed_bytes": freed_bytes},
        as_json=json_output,
        text=f"{name}: {format_bytes(freed_bytes)} freed",
    )


@told
def config(json_output: Json = False, home: Home = None) -> None:
    """List every setting with its value, its origin and its meaning."""
    from podcaster import inspection

    result, text = inspection.list_configuration(resolve_home(home))
    emit(result, as_json=json_output, text=text)

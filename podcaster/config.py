"""Configuration: every stage's options composed, each value with its origin.

Flag > `PODCASTER_*` > `podcaster.toml` > default. Unknown keys fail, and all problems of a
configuration are told at once.
"""

import difflib
import math
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from podcaster.dataset.options import DatasetOptions
from podcaster.errors import ConfigError
from podcaster.export.options import ExportOptions
from podcaster.mix.options import MixOptions
from podcaster.model import Noun
from podcaster.publish.options import PublishOptions
from podcaster.speak.options import SpeakOptions
from podcaster.train.options import TrainOptions
from podcaster.transcribe.options import TranscribeOptions
from podcaster.write.options import WriteOptions

FILE_NAME = "podcaster.toml"
LARGEST_FILE_BYTES = 1_000_000

Quality = Literal["sketch", "draft", "standard", "studio"]

# environment variables that are not settings: places and secrets
OTHER_VARIABLES = {
    "PODCASTER_HOME": "the workspace",
    "PODCASTER_SIGN_CERT": "certificate chain for signing, a PEM file",
    "PODCASTER_SIGN_KEY": "private key for signing, a PEM file",
    "PODCASTER_SIGN_ALGORITHM": "of that key; es256 where nothing is said",
}


class ClusterOptions(Noun, frozen=True):
    """Where the work on a show's recordings is done: the table `[cluster]`."""

    address: Annotated[
        str,
        msgspec.Meta(
            description="a Ray cluster to join (host:port, or auto), or local for one on this "
            "machine; nothing: no Ray, unless RAY_ADDRESS is set"
        ),
    ] = ""
    gpus_per_worker: Annotated[
        float,
        msgspec.Meta(ge=0, le=64, description="0: a whole one where there are any; 0.5: half"),
    ] = 0.0
    cpus_per_worker: Annotated[
        int, msgspec.Meta(ge=0, le=1024, description="cores of a worker without GPU; 0: four")
    ] = 0


# the tables that an episode is made with; the others are a show's
EPISODE_TABLES = ("write", "speak", "mix", "publish")


class Settings(Noun, frozen=True):
    """All options: one table per stage, and what concerns more than one."""

    quality: Annotated[
        Quality,
        msgspec.Meta(description="tier of models, as `setup` has them; sketch: a quick preview"),
    ] = "draft"
    seed: Annotated[
        int, msgspec.Meta(ge=0, le=2**31 - 1, description="same seed and settings, same episode")
    ] = 0
    show: Annotated[
        str, msgspec.Meta(description="a show whose model, host, voices and pace are taken")
    ] = ""
    disclosure: Annotated[
        bool, msgspec.Meta(description="say, in speech and in the tags, that it is made by AI")
    ] = True
    write: WriteOptions = WriteOptions()
    speak: SpeakOptions = SpeakOptions()
    mix: MixOptions = MixOptions()
    publish: PublishOptions = PublishOptions()
    transcribe: TranscribeOptions = TranscribeOptions()
    dataset: DatasetOptions = DatasetOptions()
    train: TrainOptions = TrainOptions()
    export: ExportOptions = ExportOptions()
    cluster: ClusterOptions = ClusterOptions()


@dataclass(frozen=True)
class Setting:
    """One key that can be set: its path (`mix.gap_ms`), type, default and meaning."""

    key: str
    type: Any
    default: Any
    description: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "PODCASTER_" + self.key.upper().replace(".", "_")


@dataclass(frozen=True)
class Configuration:
    """Resolved settings and, by key, where each value came from."""

    settings: Settings
    origins: Mapping[str, str]


def list_settings() -> tuple[Setting, ...]:
    """Every key that can be set, in the order of the tables."""
    return tuple(_walk(Settings, ""))


def load_configuration(
    home: Path, flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> Configuration:
    """Resolve the settings of a workspace.

    `flags` maps keys to values given on the command line. Raises ConfigError that lists every
    problem found in the file, the environment and the flags.
    """
    problems: list[str] = []
    settings = {setting.key: setting for setting in list_settings()}
    values: dict[str, Any] = {key: setting.default for key, setting in settings.items()}
    origins = dict.fromkeys(values, "default")
    layers = (
        (FILE_NAME, _read_file(home / FILE_NAME, settings, problems)),
        ("environment", _read_environment(environment, settings, problems)),
        ("flag", dict(flags)),
    )
    for origin, layer in layers:
        for key, value in layer.items():
            setting = settings[key]
            source = setting.variable if origin == "environment" else origin
            try:
                values[key] = convert_value(value, setting)
                origins[key] = source
            except msgspec.ValidationError as error:
                problems.append(f"{key} ({source}): {_explain(error, value, settings[key].type)}")
    if problems:
        raise_problems(problems, home / FILE_NAME)
    return Configuration(settings=compose_settings(values), origins=origins)


def convert_value(value: Any, setting: Setting) -> Any:
    """Check one value against its setting. Raises msgspec.ValidationError."""
    converted = msgspec.convert(value, setting.type, strict=True)
    # a comparison with NaN is never true, so that no bound refuses it
    if isinstance(converted, float) and not math.isfinite(converted):
        raise msgspec.ValidationError("a finite number")
    return converted


def compose_settings(values: Mapping[str, Any]) -> Settings:
    """Build settings from values by key."""
    tables: dict[str, Any] = {}
    for key, value in values.items():
        table, _, field = key.rpartition(".")
        if table:
            tables.setdefault(table, {})[field] = value
        else:
            tables[field] = value
    plain = msgspec.to_builtins(tables)
    return msgspec.convert(plain, Settings)


def format_configuration(configuration: Configuration) -> str:
    """Spell an episode's settings as TOML, each with its origin as a comment.

    `parse_configuration` reads it. What concerns shows alone is left out.
    """
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("Resolved settings; what follows # is each value's origin."))
    document.add(tomlkit.comment("Edit a value and run `podcaster resume` on this run."))
    values = settings_by_key(configuration.settings)
    for key, value in values.items():
        table_name, _, field = key.rpartition(".")
        if table_name and table_name not in EPISODE_TABLES:
            continue
        table: Any = document
        if table_name:
            if table_name not in document:
                document.add(table_name, tomlkit.table())
            table = document[table_name]
        item = tomlkit.item(msgspec.to_builtins(value))
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            item = inline
        item.comment(configuration.origins.get(key, "default"))
        table.add(field, item)
    return tomlkit.dumps(document)


def parse_configuration(text: str, where: str) -> Settings:
    """Read a run's `config.toml`. Raises ConfigError listing every problem."""
    settings = {setting.key: setting for setting in list_settings()}
    values = {key: setting.default for key, setting in settings.items()}
    problems: list[str] = []
    for key, value in _parse_toml(text, where, settings, problems).items():
        try:
            values[key] = convert_value(value, settings[key])
        except msgspec.ValidationError as error:
            problems.append(f"{key}: {_explain(error, value, settings[key].type)}")
    if problems:
        raise_problems(problems, Path(where))
    return compose_settings(values)


def settings_by_key(settings: Settings) -> dict[str, Any]:
    """The value of every key."""
    values: dict[str, Any] = {}
    for setting in list_settings():
        value: Any = settings
        for part in setting.key.split("."):
            value = getattr(value, part)
        values[setting.key] = value
    return values


def raise_problems(problems: list[str], where: Path) -> typing.NoReturn:
    """Raise one ConfigError that tells all of them."""
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    listing = "; ".join(problems)
    raise ConfigError(
        f"The configuration has {count}: {listing}.",
        next_step=f"Correct the flag, the variable or {where}; "
        "`podcaster config` lists every setting.",
    )


def _walk(kind: type[msgspec.Struct], prefix: str) -> Iterator[Setting]:
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _walk(field.type, f"{prefix}{field.name}.")
            continue
        default = (
            field.default_factory()
            if field.default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT
            else field.default
        )
        meta = [m for m in getattr(hints[field.name], "__metadata__", ()) if m.description]
        yield Setting(
            key=prefix + field.name,
            type=field.type,
            default=default,
            description=meta[-1].description if meta else "",
        )


def _read_file(path: Path, settings: Mapping[str, Setting], problems: list[str]) -> dict[str, Any]:
    if not path.is_file():
        return {}
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise ConfigError(
            f"{path} has {path.stat().st_size} bytes, expected at most {LARGEST_FILE_BYTES}."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    return _parse_toml(text, str(path), settings, problems)


def _parse_toml(
    text: str, where: str, settings: Mapping[str, Setting], problems: list[str]
) -> dict[str, Any]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{where} is not valid TOML: {error}.") from error
    tables = {key.partition(".")[0] for key in settings if "." in key}
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name in tables:
            if not isinstance(value, dict):
                problems.append(f"{name} must be a table [{name}], got {value!r}")
                continue
            entries = {f"{name}.{field}": inner for field, inner in value.items()}
        else:
            entries = {name: value}
        for key, inner in entries.items():
            if key in settings:
                found[key] = inner
            else:
                problems.append(f"{where} has an unknown key {key!r}{_suggest(key, settings)}")
    return found


def _read_environment(
    environment: Mapping[str, str], settings: Mapping[str, Setting], problems: list[str]
) -> dict[str, Any]:
    by_variable = {setting.variable: setting for setting in settings.values()}
    found: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith("PODCASTER_") or variable in OTHER_VARIABLES:
            continue
        setting = by_variable.get(variable)
        if setting is None:
            known = [*by_variable, *OTHER_VARIABLES]
            problems.append(f"the variable {variable} is unknown{_suggest(variable, known)}")
            continue
        found[setting.key] = _parse_variable(text, setting)
    return found


def _parse_variable(text: str, setting: Setting) -> Any:
    """A variable is text where a text is wanted, and otherwise what TOML would read."""
    if isinstance(setting.default, str):
        return text
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return [value] if isinstance(setting.default, tuple) and isinstance(value, str) else value


def _suggest(key: str, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _explain(error: Exception, value: Any, kind: Any) -> str:
    text = str(error).removesuffix(".").replace("`", "").removeprefix("Expected ")
    expected = text.split(", got")[0]
    if choices := _choices(kind):
        expected = "one of " + ", ".join(str(choice) for choice in choices)
    shown = repr(value)
    return f"expected {expected}, got {shown if len(shown) < 60 else shown[:56] + '…'}"


def _choices(kind: Any) -> tuple[Any, ...]:
    """The values that a Literal allows, annotated or not; none for other types."""
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()

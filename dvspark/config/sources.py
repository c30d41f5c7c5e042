"""Where a configuration comes from: YAML file < DVSPARK_* environment < command line."""

from __future__ import annotations

import contextlib
import os
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource

from dvspark.config.declared import at_place
from dvspark.config.job import SECTIONS, JobConfig
from dvspark.config.precedence import TABLES, without_excluded
from dvspark.config.sections import NO_TRUTH, OutputConfig, SparkConfig, StreamConfig, TableConfig
from dvspark.config.settings_text import (
    MOST_LEVELS,
    NESTED,
    PREFIX,
    environment_problems,
    read_yaml,
    repeated_settings,
    text_problems,
)
from dvspark.errors import ConfigError, Problem, close_matches
from dvspark.logs import FORMATS, format_of_environment, log_event
from dvspark.logs.redact import HIDDEN, is_secret, redacted_tree, remember, visible

# References multiply in YAML: a value of one page may take terabytes when it is written out.
SHORT = reprlib.Repr()
SHORT.maxlevel, SHORT.maxstring, SHORT.maxother = 2, 300, 300

# If the file holds something else, so many problems say enough.
MOST_PROBLEMS = 50

# Where a user of the package alone finds what a setting accepts.
ALL_SETTINGS = "`dvspark value --help` has all settings"

# Variables of the environment that are no settings of a job.
OF_THE_PACKAGE = ("CACHE", "CLASS_DATA", "LOOPS", "PRODUCTS")

# Settings that may stand without a value, which is then true.
FLAGS = ("force", "review", "publish_all_values", "self_validation", "error_bound")


def load_config(path: Path | None, overrides: dict[str, Any], base: dict[str, Any] | None = None) -> JobConfig:
    """Return the configuration from a YAML file, the environment and overrides; each later source wins.

    Where settings exclude each other, those of the later source stay, see `precedence.without_excluded`. ``base`` has
    settings that all of these sources win over, such as those of another run.
    Raises: ConfigError with everything that is wrong.
    """
    if problems := environment_problems(os.environ):
        raise ConfigError(problems)
    for stray in _stray_variables(os.environ):
        log_event(f"note: {stray}", level=30, where=stray.where)
    from_file = _paths_spelled_out(read_yaml(path) if path else {})
    from_file = {**without_excluded(base or {}, from_file), **from_file}

    class Layered(JobConfig):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - one that reads a path alone is in its place
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            environment = without_excluded(_Environment(settings_cls)(), given)
            below = without_excluded(without_excluded(from_file, environment), given)
            layers = (InitSettingsSource(settings_cls, layer) for layer in (environment, below))
            return init_settings, *layers

    given = _paths_spelled_out(overrides)
    remember([given, from_file])
    try:
        config: JobConfig = Layered(**given)
    except ValidationError as error:
        found = [_problem(details) for details in error.errors()[:MOST_PROBLEMS]]
        problems = list(dict.fromkeys(found))  # of a setting with two types, pydantic says it twice
        for details in error.errors():
            remember({".".join(map(str, details["loc"])): details["input"]})  # also those of the environment
            _drop(given, details["loc"])
            _drop(from_file, details["loc"])
        with contextlib.suppress(ValidationError):  # the settings that are left may have problems of the other kind
            problems += Layered(**given).problems()
        if (n_more := error.error_count() - MOST_PROBLEMS) > 0:
            problems.append(
                Problem("settings", "known settings", f"{n_more} more that are not", "is it the right file?")
            )
        raise ConfigError(problems) from None  # pydantic's message repeats what was given
    except ValueError as error:  # an environment variable that is no JSON where a section is expected
        hint = "write a section as JSON, or set DVSPARK_SECTION__KEY"
        raise ConfigError(
            Problem("environment", "DVSPARK_* variables that parse", str(error).partition(" from source")[0], hint)
        ) from None
    if problems := text_problems(config.model_dump()) + config.problems():
        raise ConfigError(problems)
    return config


def _stray_variables(environment: Mapping[str, str]) -> list[Problem]:
    """Return DVSPARK_* variables that say nothing to a job. They may be another program's, so none is refused."""
    sections: dict[str, type[BaseModel]] = {"output": OutputConfig, "stream": StreamConfig, "spark": SparkConfig}
    sections |= dict.fromkeys(TABLES, TableConfig)
    inner = [f"{section}{NESTED}{key}" for section, model in sections.items() for key in model.model_fields]
    settings = [name.upper() for name in (*JobConfig.model_fields, *inner)]
    names = {name: name.upper().removeprefix(PREFIX) for name in environment if name.upper().startswith(PREFIX)}
    return [
        Problem(
            f"environment variable {visible(name)}",
            f"the name of a setting after {PREFIX}",
            "a name that no setting has: the variable has no effect",
            close_matches(stray, settings, all_known=False) or ALL_SETTINGS,
        )
        for name, stray in sorted(names.items())
        if stray.partition(NESTED)[0] not in (*settings, *OF_THE_PACKAGE)
    ]


class _Environment(EnvSettingsSource):
    """The variables of the environment, of which ``DVSPARK_TRAIN`` may be a path as well as a section in JSON."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        """Return the settings in a variable. Raises: ValueError for a section that is no JSON."""
        try:
            found = super().decode_complex_value(field_name, field, value)
        except ValueError:
            if field_name not in SECTIONS or value.lstrip().startswith(("{", "[", '"')):
                raise
            found = value
        return {"path": found} if field_name in SECTIONS and isinstance(found, str) else found


def asked_log_format(words: Sequence[str]) -> str:
    """Return the log format for errors that come before the settings are checked; "auto" if none is given.

    ``words``: those after the command.
    """
    asked: dict[str, Any] = {}
    if words and Path(words[0]).is_file():  # a pipe can be read only once
        with contextlib.suppress(ConfigError):
            asked = read_yaml(Path(words[0]))
    found = [asked.get("log_format")]
    found.append(format_of_environment())
    for word, following in zip(words, [*words[1:], ""], strict=False):
        key, has_value, value = word.partition("=")
        if key.replace("-", "_") == "__log_format":
            found.append(value if has_value else following)
    return next((value for value in reversed(found) if value in FORMATS), "auto")


def _drop(settings: Any, place: tuple[int | str, ...]) -> None:
    """Remove the setting at a place, if there is one."""
    for part in place[:-1]:
        settings = settings.get(str(part)) if isinstance(settings, dict) else None
    if isinstance(settings, dict):
        settings.pop(str(place[-1]), None)


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Return ``--section.key VALUE`` and ``--key=VALUE`` words as nested settings.

    Raises: ConfigError for words that are not pairs.
    """
    nested: dict[str, Any] = {}
    left, last = list(words), ""
    while left:
        word = left.pop(0)
        if not word.startswith("--"):  # the rest of a secret that a blank has split is secret too
            place_word = HIDDEN if is_secret(last) else word
            hint = "write options with two dashes and tables as --train TABLE; quote values with blanks"
            raise ConfigError(Problem(place_word, "--section.key VALUE", "no option", hint))
        key, has_value, value = word.removeprefix("--").partition("=")
        if key in FLAGS and not has_value and (not left or left[0].startswith("--")):
            has_value, value = "=", "true"
        if not has_value and not left:
            raise ConfigError(Problem(word, "--section.key VALUE", "no value", "give every option a value"))
        # A Spark setting's own name has dots: --spark.conf.spark.executor.memory 8g
        parts = key.split(".", 2 if key.startswith("spark.conf.") else -1)
        if len(parts) > MOST_LEVELS:
            got, hint = f"{len(parts)} of them in --{key[:60]}...", ALL_SETTINGS
            raise ConfigError(Problem("settings", f"at most {MOST_LEVELS} levels of sections", got, hint))
        place = nested
        for part in parts[:-1]:
            place = place.setdefault(part.replace("-", "_"), {})
            if not isinstance(place, dict):
                raise ConfigError(Problem(f"--{key}", "a section", f"{part} has a value already", "drop one of them"))
        last = parts[-1] if key.startswith("spark.conf.") else parts[-1].replace("-", "_")
        given = value if has_value else left.pop(0)
        if isinstance(place.get(last), dict) and last in SECTIONS:
            place[last]["path"] = given
        else:
            place[last] = {"path": given} if last in SECTIONS and place is nested else given
    if problems := repeated_settings("command line", nested):
        raise ConfigError(problems)
    return nested


def _paths_spelled_out(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with ``train: PATH`` written as ``train: {path: PATH}``."""
    short = {name: {"path": value} for name, value in settings.items() if name in SECTIONS and isinstance(value, str)}
    return {**settings, **short}


def _problem(details: Any) -> Problem:
    """Return an error of pydantic as a Problem; for an unknown key with the closest known key."""
    place = [str(part) for part in details["loc"]]
    where = ".".join(part if len(part) <= SHORT.maxstring else SHORT.repr(part) for part in place)
    got = HIDDEN if is_secret(where) else SHORT.repr(redacted_tree(details.get("input")))
    if details["type"] == "extra_forbidden":
        model: Any = JobConfig
        for part in place[:-1]:
            model = {"spark": SparkConfig, "output": OutputConfig, "stream": StreamConfig}.get(part, TableConfig)
        hint = close_matches(place[-1], list(model.model_fields))
        # All of dozens of names, once for each unknown key, would bury the problems.
        hint = ALL_SETTINGS if hint.startswith("known:") and model is JobConfig else hint
        if hint.startswith("did you mean") and len(place) > 1:  # as it is written on the command line
            hint = hint.replace(" '", f" '{'.'.join(place[:-1])}.")
        return Problem(where, "a known setting", got, hint)
    if details["type"] == "missing":
        return Problem(where, "a value", "none", f"set {where} in the file, or give --{where} VALUE")
    where, expected = at_place(details["loc"])
    return Problem(where, details["msg"] if details["type"] == NO_TRUTH else expected, got, ALL_SETTINGS)

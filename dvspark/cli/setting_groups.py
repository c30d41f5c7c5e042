"""Settings in the groups that help shows them in, and what it says of each."""

from __future__ import annotations

from dataclasses import fields

from dvspark.cli.declared import Command
from dvspark.config.declared import Setting, declared_settings
from dvspark.config.fields import PARAMETERS
from dvspark.config.job import SECTIONS, JobConfig
from dvspark.config.sources import FLAGS
from dvspark.methods.options import ValueOptions

PRECEDENCE = (
    "Settings come from CONFIG.yaml (`dvspark init` writes one), from the environment (DVSPARK_TRAIN__PATH for "
    "train.path) and from the command line; a later one of these three wins. --key=VALUE is the same as --key VALUE."
)

# Of each group the title. A setting that no other group claims is in the one on how the job runs.
TABLES, OUTPUT, STREAM, SPARK = "tables", "output", "stream", "Spark, where dvspark starts it"
COMPUTED, OF_METHODS, RUN = "what is computed", "parameters of methods", "how the job runs"
GROUPS = (TABLES, COMPUTED, OF_METHODS, OUTPUT, RUN, STREAM, SPARK)

CLAIMED = dict.fromkeys(("train", "owned", "validation"), TABLES)
CLAIMED |= {"output": OUTPUT, "stream": STREAM, "spark": SPARK}
CLAIMED |= {"goal": COMPUTED}
CLAIMED |= dict.fromkeys((field.name for field in fields(ValueOptions)), COMPUTED)
CLAIMED |= dict.fromkeys(PARAMETERS, OF_METHODS)

# What "N" and "NUMBER" say without words.
PLAIN = ("a whole number", "a number")

# Sections with the keys of another one.
ALIKE = {"owned": "train", "validation": "train"}


def setting_groups(command: Command) -> dict[str, list[tuple[str, str]]]:
    """Return the groups of settings that a command takes, by title: what may be written, and what it means."""
    groups: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
    for name, field in JobConfig.model_fields.items():
        rows = groups[CLAIMED.get(name, RUN)]
        if name in SECTIONS:
            needed = "; needed" if field.is_required() else ""
            rows.append((f"--{name} PATH", f"{field.description}; the same as --{name}.path{needed}"))
        if name in ALIKE:
            rows.append((f"--{name}.KEY VALUE", f"each KEY of {ALIKE[name]}, of this table"))
        else:
            rows += [(option(each), meaning(each)) for each in declared_settings() if each.name.split(".")[0] == name]
    if command.name != "stream":
        groups.pop(STREAM)  # no other command looks at them
    return groups


def option(setting: Setting) -> str:
    """Return how a setting is written on the command line, in short."""
    form = f"[{setting.form}]" if setting.name in FLAGS else setting.form
    return f"--{setting.name}{'.NAME' if isinstance(setting.default, dict) else ''} {form}"


def meaning(setting: Setting) -> str:
    """Return what a setting means, what it accepts and its default; of a parameter, for which methods it is."""
    return meaning_alone(setting) + (f"; for {', '.join(setting.methods)}" if setting.methods else "")


def meaning_alone(setting: Setting) -> str:
    """Return what a setting means, what it accepts where its short form does not say so, and its default."""
    is_told = setting.form in ("TEXT", "NAME", "|".join(setting.words)) or setting.expected in PLAIN
    said = [] if is_told else [setting.expected]
    if setting.default is not None and not isinstance(setting.default, dict):
        said.append(f"default: {shown_default(setting.default)}")
    return " ".join([setting.meaning, *([f"[{'; '.join(said)}]"] if said else [])])


def shown_default(default: object) -> str:
    """Return a default as one would write it."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)

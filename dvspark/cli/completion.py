"""`dvspark completion`: a script by which a shell completes commands, options and words, without asking dvspark."""

from __future__ import annotations

from collections.abc import Sequence

from dvspark.arguments import choice_problems
from dvspark.cli.declared import COMMANDS, SHELLS, Command
from dvspark.cli.import_words import IMPORTS
from dvspark.cli.words import own_words
from dvspark.config.declared import declared_settings
from dvspark.config.job import SECTIONS
from dvspark.errors import ConfigError
from dvspark.host.printing import tell
from dvspark.methods import METHODS

# Words of which an operand is one.
OPERANDS = {"METHOD": tuple(METHODS), "SHELL": SHELLS, "FORMAT": tuple(IMPORTS)}

# What is neither a command nor a word after an option is a file, which the shell knows to complete.
BASH = """\
_dvspark() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" found=""
  if [[ "$before" == "=" ]]; then
    before="${{COMP_WORDS[COMP_CWORD-2]}}"
  elif [[ "$current" == "=" ]]; then
    current=""
  fi
  if [[ "$COMP_CWORD" == 1 ]]; then
    found="{first}"
  else
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
  fi
  COMPREPLY=($(compgen -W "$found" -- "$current"))
}}
complete -o default -F _dvspark dvspark
"""
OF_COMMAND = """\
      {name})
        if [[ "$current" == -* ]]; then
          found="{options}"
        else
          case "$before" in
{cases}
          esac
        fi ;;"""

NO_CASE = "            *) ;;"

ZSH = """\
autoload -U +X compinit && compinit
autoload -U +X bashcompinit && bashcompinit
"""


def run(words: Sequence[str]) -> int:
    """Print the script for a shell. Raises: ConfigError for a shell that there is no script for."""
    operands, _ = own_words(COMMANDS["completion"], words)
    shell = operands[0] if operands else ""
    if problems := choice_problems("shell", shell, SHELLS):
        raise ConfigError(problems)
    tell({"bash": bash_script, "zsh": zsh_script, "fish": fish_script}[shell]())
    return 0


def bash_script() -> str:
    """Return the script for bash."""
    first = " ".join([*COMMANDS, "help", "--help", "--version"])
    return BASH.format(first=first, cases="\n".join(map(_bash_case, COMMANDS.values())))


def zsh_script() -> str:
    """Return the script for zsh: that for bash, which zsh can run."""
    return ZSH + bash_script()


def fish_script() -> str:
    """Return the script for fish, which also shows what an option means."""
    lines = [
        f"complete -c dvspark -f -n __fish_use_subcommand -a {command.name} -d {_quoted(command.summary)}"
        for command in COMMANDS.values()
    ]
    lines.append("complete -c dvspark -f -n __fish_use_subcommand -l version -d 'print the version'")
    for command in COMMANDS.values():
        head = f"complete -c dvspark -n '__fish_seen_subcommand_from {command.name}'"
        lines += [f"{head} -f -a {_quoted(' '.join(words))}" for words in _operand_words(command)]
        for name, (meaning, takes_value, words) in _options(command).items():
            value = f" -x -a {_quoted(' '.join(words))}" if words else " -r" * takes_value
            lines.append(f"{head} -l {name.removeprefix('--')}{value} -d {_quoted(meaning)}")
    return "\n".join(lines) + "\n"


def _options(command: Command) -> dict[str, tuple[str, bool, tuple[str, ...]]]:
    """Return the options of a command by name: what each means, whether a value follows, and the words for it."""
    found = {"--help": ("print help", False, tuple[str, ...]())}
    found |= {option.name: (option.meaning, bool(option.values), ()) for option in command.options}
    if command.takes_settings:
        found |= {f"--{name}": (f"the same as --{name}.path", True, ()) for name in SECTIONS}
        for setting in declared_settings():  # a parameter has several declarations, which may have words of their own
            _, _, words = found.get(f"--{setting.name}", ("", True, ()))
            found[f"--{setting.name}"] = (setting.meaning, True, tuple(dict.fromkeys([*words, *setting.words])))
    return found


def _operand_words(command: Command) -> list[tuple[str, ...]]:
    return [OPERANDS[operand] for operand in command.operands if operand in OPERANDS]


def _bash_case(command: Command) -> str:
    cases = [(name, words) for name, (_, _, words) in _options(command).items() if words]
    cases += [(command.name, words) for words in _operand_words(command)]
    lines = [f"""            {name}) found="{" ".join(words)}" ;;""" for name, words in cases]
    options, after = " ".join(_options(command)), "\n".join(lines or [NO_CASE])
    return OF_COMMAND.format(name=command.name, options=options, cases=after)


def _quoted(text: str) -> str:
    """Return a text as one word of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

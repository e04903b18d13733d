"""The command line: `sonimatch list`, `render`, `match`, `landscape`, `study`, `listen`,
`train` and `predict`.

Exit status: 0 done, 1 it failed, 2 what the user gave was wrong, 130 interrupted; errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from sonimatch.cli import COMMANDS
from sonimatch.cli.told import version
from sonimatch.cli.words import FailedError, InputError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


class _Version(argparse.Action):
    """Looks the version up when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"sonimatch {version('sonimatch') or '(not installed)'}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sonimatch",
        description="Find the parameters with which a synthesizer sounds like a recording.",
        epilog="examples:\n"
        "  sonimatch list\n"
        "  sonimatch render bp_noise lp_cut=700 hp_cut=60 -o tone.wav\n"
        "  sonimatch match tone.wav -o out\n"
        "  sonimatch landscape --synth hp_noise --loss all -o out\n"
        "  sonimatch study run --preset paper -o results\n"
        "  sonimatch listen build --study results/paper.npz -o listening\n"
        "  sonimatch train --synth drum --objective p-loss -o drum\n"
        "  sonimatch predict drum tom.wav -o out\n\n"
        "exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show program's version number and exit")
    _add(parser, COMMANDS)
    return parser


def _add(parser: argparse.ArgumentParser, commands: Sequence[Any]) -> None:
    """Add commands, which are modules, and their commands; see `sonimatch.cli`."""
    among = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        added = among.add_parser(
            command.__name__.rpartition(".")[2],
            help=command.HELP,
            description=command.__doc__,
            epilog=f"examples:\n{command.EXAMPLES}",
            formatter_class=_Help,
        )
        if hasattr(command, "COMMANDS"):
            _add(added, command.COMMANDS)
        else:
            command.arguments(added)
            added.set_defaults(run=command.run)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return the exit status.

    Raises SystemExit, with status 2, when the words do not parse, and with status 0 after `--help`.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name or a unit may not fit the terminal
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could come next
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        args, rest = parser.parse_known_args(argv)
        _keep_what_is_compiled()
        if "values" in args:  # argparse stops collecting at an option: render SYNTH -o FILE.wav name=value
            args.values += [word for word in rest if not word.startswith("-")]
            rest = [word for word in rest if word.startswith("-")]
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        args.run(args)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # nobody reads on: `sonimatch list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt as error:
        return _complain(130, str(error) or "interrupted")
    except InputError as error:
        return _complain(2, str(error))
    except FailedError as error:
        return _complain(1, str(error))
    except Exception as error:
        return _complain(1, f"failed: {type(error).__name__}: {error}")


def _keep_what_is_compiled() -> None:
    """What JAX compiles lies in the user's cache folder, so that the next command has it; a variable of the user's own
    (`JAX_COMPILATION_CACHE_DIR`, `JAX_ENABLE_COMPILATION_CACHE=0`) goes before. Each machine has its own: the code is
    made for one processor, and a home folder may be shared."""
    if "jax" in sys.modules or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    import platformdirs

    folder = platformdirs.user_cache_path("sonimatch", appauthor=False) / "jax" / platform.node()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home, or one that cannot be written to: everything is compiled again
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def _complain(status: int, message: str) -> int:
    print(f"sonimatch: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

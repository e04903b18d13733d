"""The command line, one thin file per command.

A command is a module: its name is the command's, its docstring the description that `--help` shows; `HELP` is the line
in the list of commands, `EXAMPLES` are shown below; `arguments(parser)` declares its words and `run(args)` does it. One
file and its name in the tuple `COMMANDS` here, or in that of its folder, make a new one.

argparse reads the words: typer and cyclopts would save the declarations and cost more than they save, a tenth of a
second and more at every start and wording that is not ours. Completion is argcomplete's, loaded when a shell asks.

Nothing here loads JAX or NumPy before the words are known to be good: rooms are imported inside `run`.
"""

from sonimatch.cli import check, landscape, list, listen, match, predict, render, study, train

COMMANDS = (list, render, check, match, landscape, study, listen, train, predict)

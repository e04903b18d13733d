"""Make a listening test of a record, a folder that can be sent to raters, and read what they say."""

from sonimatch.cli.listen import build, score

HELP = "make a listening test of a record, and read what the raters say"
EXAMPLES = """\
  sonimatch listen build --study results/paper.npz -o listening
  sonimatch listen score listening"""

COMMANDS = (build, score)

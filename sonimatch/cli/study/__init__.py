"""Run the published study, or a part of it: every synth with every loss, many trials each. Read its records."""

from sonimatch.cli.study import export, report, run, status, verify

HELP = "run the published study, or a part of it, and read its records"
EXAMPLES = """\
  sonimatch study run --trials 20 --steps 50 -o results
  sonimatch study report results/paper-20x50.npz -o out"""

COMMANDS = (run, status, report, verify, export)

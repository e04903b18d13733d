#!/usr/bin/env bash
# Title: A package that carries another one imports the one beside it
# Package: scrapl-loss 0.1.0, kymatio 0.3.0
# Guess: scrapl-loss ships a development version of kymatio inside its own folder, so an installed release does not matter.
# Seen: its copy is appended to the search path. Without kymatio, `import scrapl` makes that copy everybody's `kymatio`; with the release installed that is found first, has no joint scattering, and `import scrapl` fails.
# For us: the benchmark beside it runs in an environment without kymatio, which is an oracle of our tests.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check scrapl-loss==0.1.0 torch==2.13.0
look() { "$here/bin/python" -W ignore - "$1" <<'PYTHON'
import sys
from importlib import metadata

print(f"scrapl-loss {metadata.version('scrapl-loss')}, {sys.argv[1]}:", end=" ")
try:
    import scrapl
except ImportError as error:
    print("ImportError,", str(error).split(" (")[0])
    assert sys.argv[1] == "kymatio 0.3.0 installed" and "TimeFrequencyScatteringTorch" in str(error)
else:
    import kymatio
    print("imported, and `import kymatio` gives the copy inside it:", "scrapl" in kymatio.__file__)
    assert sys.argv[1] == "no kymatio installed" and "scrapl" in kymatio.__file__
PYTHON
}
look "no kymatio installed"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check kymatio==0.3.0
look "kymatio 0.3.0 installed"

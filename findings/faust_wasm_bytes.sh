#!/usr/bin/env bash
# Title: The same program, other bytes
# Package: dawdreamer 0.9.0 (libfaust 2.85.9)
# Guess: one program, compiled twice in one process, gives one WebAssembly module.
# Seen: the parameter table inside of it has an entry "code" of six bytes in base 64, which are no code of the program,
#   and others each time; all else is the same.
# For us: the entry is emptied, so that a page that is built again is the same page.
# Test: tests/test_widgets.py::test_an_element_is_static_in_a_page_and_a_widget_with_a_kernel
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check dawdreamer==0.9.0 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import json

import dawdreamer
import dawdreamer.faust as faust, dawdreamer.faust.box as box

modules = []
for _ in range(6):
    with faust.FaustContext():
        program = box.boxFromDSP('import("stdfaust.lib"); process = no.noise * hslider("gain", 0.5, 0, 1, 0.01);')
        modules.append(box.boxToSource(program, "wasm", "Dsp", ["-double"]))
tables = [json.JSONDecoder().raw_decode(each[each.index(b'{"name"'):].decode("latin-1"))[0] for each in modules]
codes = [table.pop("code") for table in tables]
print(f"dawdreamer {dawdreamer.__version__}: {len(set(modules))} modules of 6 differ; \"code\": {sorted(set(codes))}")
rest = {each.replace(code.encode(), b"") for each, code in zip(modules, codes)}
assert len(set(modules)) > 1 and len(rest) == 1 and all(table == tables[0] for table in tables)
PYTHON

"""What the Makefile and the checks of a build promise: certificates, skipped tests, other ways of rounding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "UV_SYSTEM_CERTS")
CALLERS = ("MAKEFLAGS", "MAKELEVEL", "BUILD", "MOVED", "XLA_FLAGS")  # of the make that runs these tests


def made(*words: str, **settings: str) -> str:
    """What make prints where the shell names no certificates."""
    bare = {name: value for name, value in os.environ.items() if name not in (*CERTIFICATES, *CALLERS)}
    done = subprocess.run(["make", *words], cwd=ROOT, env=bare | settings, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"SYSTEM_CERTIFICATES": ""}, " "),
        ({"SYSTEM_CERTIFICATES": "store.crt"}, "true "),
        ({"PIP_CERT": "corp.pem"}, "true corp.pem"),
        ({"REQUESTS_CA_BUNDLE": "corp.pem"}, "true corp.pem"),
        ({"SSL_CERT_DIR": "certs"}, "true "),
        ({"SSL_CERT_FILE": "own.pem", "PIP_CERT": "corp.pem"}, "true own.pem"),
        ({"SSL_CERT_FILE": "own.pem", "UV_SYSTEM_CERTS": "false"}, "false own.pem"),
    ],
)
def test_uv_takes_the_certificates_that_the_shell_names_or_the_system_keeps(named, told):
    store = f"SYSTEM_CERTIFICATES={named.pop('SYSTEM_CERTIFICATES', '')}"
    shown = made("-s", "--eval", "shown: ; @echo $$UV_SYSTEM_CERTS $$SSL_CERT_FILE", "shown", store, **named)
    assert shown.strip() == told.strip()


@pytest.mark.parametrize(("skips", "words"), [(0, "in a browser too"), (3, "3 browser tests were skipped")])
def test_the_last_line_counts_what_was_skipped_for_want_of_a_browser(tmp_path, skips, words):
    skip = '<testcase><skipped type="pytest.skip" message="there is no Chromium here">line 1</skipped></testcase>'
    other = '<testcase><skipped type="pytest.skip" message="no soundfile of this kind"/></testcase>'
    (tmp_path / "unit.xml").write_text(f"<testsuites><testsuite>{skip * skips}{other}</testsuite></testsuites>")
    command = [sys.executable, "book/check.py", "tests", str(tmp_path / "unit.xml")]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert words in told
    assert ("apt install chromium" in told) == bool(skips)


def test_the_last_line_of_the_tests_is_that_count():
    lines = made("-n", "test").strip().splitlines()
    assert "check.py tests" in lines[-1]
    for part in ("unit", "browser", "pages"):
        assert f"build/{part}.xml" in lines[-1]


@pytest.mark.parametrize(("way", "flag"), [("SSE4_2", "=SSE4_2"), ("AVX2", "=AVX2"), ("default", ""), ("moved", "")])
def test_each_way_of_rounding_has_a_folder_of_its_own(way, flag):
    lines = made("-n", f"robust-{way}", "UV=true", "ENV=").splitlines()
    (call,) = (line for line in lines if line.startswith("XLA_FLAGS="))
    assert f'XLA_FLAGS="{"--xla_cpu_max_isa" if flag else ""}{flag}"' in call
    assert f"BUILD=build/robust/{way} MOVED={'1' if way == 'moved' else ''} unit notebooks" in call


def test_the_chapters_that_search_are_known():
    found = made("-s", "--eval", "shown: ; @echo $(SEARCHES)", "shown").split()
    assert "notebooks/one_match.md" in found
    assert "notebooks/your_own_sound.md" in found


def test_a_moved_start_is_a_millionth_away():
    code = (
        "import book.moved, jax.numpy as jnp; from sonimatch.search import RMSProp, RandomSearch;"
        "start = jnp.array([0.0, 1.0, 0.25]);"
        "print(*(2e6 * (RandomSearch().init(start, None) - start)));"
        "print(*(1e6 * (RMSProp().init(start, None)[0] + 1 - 2 * start)))"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert np.allclose([float(word) for word in told.split()], [2, -2, 2] * 2, atol=0.3)

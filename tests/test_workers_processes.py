"""Processes do not outlive the one they work for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHILD = """
import os, sys, time
from workers.processes import die_with_parent

parent = os.getpid()
if os.fork():
    {parent}
{child}
die_with_parent(parent)
print("begun", flush=True)
time.sleep(600)
"""
ORPHAN = CHILD.format(parent="os._exit(0)", child="while os.getppid() == parent: time.sleep(0.01)")
LATER_ORPHAN = CHILD.format(parent="sys.stdin.readline(); os._exit(0)", child="")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_child_whose_parent_has_died_already_ends_at_once() -> None:
    with start(ORPHAN) as process:
        assert process.communicate(timeout=60)[0] == ""


def test_child_ends_when_its_parent_dies_later() -> None:
    with start(LATER_ORPHAN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.communicate("\n", timeout=60)  # returns when the child has closed its end of stdout

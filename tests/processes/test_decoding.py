"""Threads that read a type first at the same moment: in a process of its own, since it would be killed otherwise."""

from __future__ import annotations

import subprocess
import sys

RACE = '''
import sys, threading, types
import msgspec
from crashcart.decoding import convert, from_json

KINDS = """
import msgspec
class Leaf(msgspec.Struct):
    a: int
class Middle(msgspec.Struct):
    leaf: Leaf
    leaves: tuple[Leaf, ...]
class Whole(msgspec.Struct):
    middle: Middle
    named: dict[str, Middle]
"""
MIDDLE = {"leaf": {"a": 1}, "leaves": [{"a": 2}]}
PLAIN = {"middle": MIDDLE, "named": {"one": MIDDLE}}

def race(number):
    module = types.ModuleType(f"kinds{number}")
    sys.modules[module.__name__] = module
    exec(compile(KINDS, module.__name__, "exec"), module.__dict__)
    line, said = threading.Barrier(8), []
    def go():
        line.wait()
        read = from_json(msgspec.json.encode(PLAIN), module.Whole), convert(PLAIN, module.Whole)
        said.append({whole.middle.leaves[0].a for whole in read})
    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [{2}] * 8, said

sys.setswitchinterval(1e-6)
for number in range(100):
    race(number)
'''


def test_many_threads_may_read_a_type_first() -> None:
    """With msgspec alone, this process dies of a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")

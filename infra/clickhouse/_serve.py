"""Runs ClickHouse's HTTP server from the engine's library: `python _serve.py LIBRARY CONFIG`. Blocks until killed.

A process of its own: the library takes over the process's signals and threads.
"""

from __future__ import annotations

import ctypes
import sys

FOREVER = (
    "SYSTEM START LISTEN HTTP; SELECT sleepEachRow(1) FROM numbers(1000000000) "
    "SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 60000000 FORMAT Null"
)
"""The library runs one query and returns; this one starts the server and then only waits."""


class _Result(ctypes.Structure):
    _fields_ = (
        ("body", ctypes.c_char_p),
        ("length", ctypes.c_size_t),
        ("owner", ctypes.c_void_p),
        ("elapsed_s", ctypes.c_double),
        ("rows", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("error", ctypes.c_char_p),
    )


def main(library: str, config: str) -> None:
    """Serve; ends the process with the engine's own words when it cannot."""
    run = ctypes.CDLL(library).query_stable_v2
    run.restype = ctypes.POINTER(_Result)
    arguments = [b"clickhouse", f"--config-file={config}".encode(), f"--query={FOREVER}".encode()]
    found = run(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments))
    sys.exit(f"the server ended: {(found.contents.error or b'no reason').decode(errors='replace')}")


if __name__ == "__main__":
    main(*sys.argv[1:3])

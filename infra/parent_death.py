"""Becomes a command that dies with its parent: `python parent_death.py PARENT_PID PROGRAM [ARGUMENT…]`.

A process of its own, because the request to the kernel must be made between fork and exec, where Python code is not
safe in a program with threads. Stands alone: it runs isolated, before any package can be imported.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>; the kernel keeps it across exec


def main() -> None:
    """Request the signal, make sure that the parent still lives, and become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2]
    if sys.platform == "linux":  # elsewhere a child outlives a killed parent
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit("the parent died before this child began")
    try:
        os.execv(program, sys.argv[2:])  # noqa: S606 - becoming the program is its purpose
    except OSError as error:
        sys.exit(f"cannot run {program}: {error.strerror}")


if __name__ == "__main__":
    main()

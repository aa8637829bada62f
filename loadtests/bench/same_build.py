#!/usr/bin/env python3
"""Shows how often two runs of the same build are called different: at most 5 times of 100.

Makes --pairs + 1 runs against a server that takes about 2 ms, compares each with the one before, and counts. Then it lets
the server take a quarter longer and counts how often that is found. With --other-seconds every second run is of that
length, so that the runs of each pair differ in length.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

from peers import PORT, URL, build


def measure(binaries, folder, seconds, users):
    out = pathlib.Path(folder) / f"{time.monotonic_ns()}.json"
    subprocess.run(
        [binaries / "loadtest", "-H", URL, "-e", "/", "-u", str(users), "-t", f"{seconds}s", "--no-rules", "--no-server",
         "--saturation", "warn", "-q", "--progress", "off", "-o", out],
        check=True, capture_output=True,
    )
    return out


def serve(binaries, delay_us):
    server = subprocess.Popen([binaries / "examples" / "trivial_server", str(PORT), str(delay_us)])
    time.sleep(0.3)
    return server


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--slower", type=int, default=20, help="comparisons with the slower server")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--other-seconds", type=int, help="length of every second run [default: --seconds]")
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--delay", type=int, default=2000, help="microseconds")
    parser.add_argument("--profile", choices=["release", "dev"], default="release")
    options = parser.parse_args()
    binaries = build(options.profile)

    def differs(old, new):
        done = subprocess.run([binaries / "loadtest", "compare", old, new], capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(done.stderr)
        changed = done.returncode == 1 or "better" in done.stdout
        if changed:
            print(done.stdout)
        return changed

    with tempfile.TemporaryDirectory() as folder:
        server = serve(binaries, options.delay)
        try:
            lengths = [options.seconds, options.other_seconds or options.seconds]
            runs = [measure(binaries, folder, lengths[n % 2], options.users) for n in range(options.pairs + 1)]
        finally:
            server.terminate()
            server.wait()
        different = sum(differs(old, new) for old, new in zip(runs, runs[1:]))
        print(f"the same build: {options.pairs - different} of {options.pairs} pairs pass")
        server = serve(binaries, options.delay * 5 // 4)
        try:
            slower = [measure(binaries, folder, options.seconds, options.users) for _ in range(options.slower)]
        finally:
            server.terminate()
            server.wait()
        found = sum(differs(old, new) for old, new in zip(runs, slower))
        print(f"a build slower by a quarter: found in {found} of {options.slower} comparisons")
    sys.exit(0 if different * 100 <= options.pairs * 5 else "too many false alarms")


if __name__ == "__main__":
    main()

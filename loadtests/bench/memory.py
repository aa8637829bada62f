#!/usr/bin/env python3
"""Shows that loadtest's memory does not grow with the number of requests.

Sends a million requests (or --requests), reads the resident memory twice a second, prints it after every tenth of the
requests, and fails if the last value is more than a tenth above the second.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

from peers import PORT, URL, build


def resident_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--profile", choices=["release", "dev"], default="release")
    options = parser.parse_args()
    binaries = build(options.profile)
    server = subprocess.Popen([binaries / "examples" / "trivial_server", str(PORT)])
    time.sleep(0.5)
    seen = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = [
                binaries / "loadtest", "-H", URL, "-e", "/", "-u", str(options.users), "--iterations",
                str(options.requests // options.users), "--no-rules", "--no-server", "--saturation", "warn", "-o", "out.json",
            ]
            tool = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            while tool.poll() is None:
                try:
                    seen.append(resident_mb(tool.pid))
                except (FileNotFoundError, ProcessLookupError):
                    break
                time.sleep(0.5)
            print(tool.stdout.read())
    finally:
        server.terminate()
        server.wait()
    seen = [value for value in seen if value > 0]
    steps = [seen[min(int(len(seen) * tenth / 10), len(seen) - 1)] for tenth in range(1, 11)]
    print("resident memory at each tenth of the way, in MB:", ", ".join(f"{value:.1f}" for value in steps))
    sys.exit(0 if steps[-1] <= steps[1] * 1.1 else "the memory grew")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Compares loadtest with its peers: requests a second and generator CPU a request.

50 connections against a trivial server; the server is pinned to one core and each generator to another; the tools take
turns within each round, so that a slow minute of the machine hits all of them. Prints a Markdown table of medians and of
the spread (lowest to highest).

Needs: wrk and hey (apt-get install wrk hey), oha (cargo install oha), locust (pip install locust). What is missing is left
out and named. `--seconds 1 --rounds 1 --profile dev` is a dry run.
"""

import argparse
import csv
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PORT = 8765
URL = f"http://127.0.0.1:{PORT}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="length of one run")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each tool")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--profile", choices=["release", "dev"], default="release")
    parser.add_argument("--server-core", default="0")
    parser.add_argument("--generator-core", default="1")
    parser.add_argument("--only", nargs="*", help="names of tools")
    return parser.parse_args()


def build(profile):
    flags = ["--release"] if profile == "release" else []
    subprocess.run(
        ["cargo", "build", "-q", "-p", "pinchpoint-loadtest", "--bins", "--examples", *flags], cwd=ROOT, check=True
    )
    return ROOT / "target" / ("release" if profile == "release" else "debug")


def run(command, core, cwd):
    """Runs a command pinned to a core; returns its output and the CPU seconds it took."""
    before = os.times()
    done = subprocess.run(["taskset", "-c", core, *map(str, command)], cwd=cwd, capture_output=True, text=True)
    after = os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return done.stdout + done.stderr, cpu


def per_second(text):
    found = re.search(r"Requests/sec:\s*([0-9.]+)", text)
    return float(found.group(1)) if found else None


def tools(binaries, users, seconds):
    """Each tool: what to run, and how to read requests a second from its output and folder."""

    def bare(text, _):
        return json.loads(text.strip().splitlines()[-1])["requests_per_second"]

    def ours(_, folder):
        return json.loads((folder / "out.json").read_text())["requests_per_second"]

    def oha(text, _):
        return json.loads(text)["summary"]["requestsPerSec"]

    def locust(_, folder):
        with open(folder / "out_stats.csv", newline="") as file:
            return float([row for row in csv.DictReader(file) if row["Name"] == "Aggregated"][0]["Requests/s"])

    loadtest = [
        binaries / "loadtest", "-H", URL, "-e", "/", "-u", users, "-t", f"{seconds}s", "--no-rules", "--no-server",
        "--saturation", "warn", "--quiet", "-o", "out.json",
    ]
    bare_binary = binaries / "examples" / "bare"
    locustfile = ROOT / "loadtests" / "bench" / "locustfile.py"
    yield "loadtest", loadtest, ours
    for mode in ["goose", "goose-no-metrics", "goose-custom", "client", "client-shared"]:
        yield f"bare {mode}", [bare_binary, mode, URL, users, seconds], bare
    yield "oha", ["oha", "-z", f"{seconds}s", "-c", users, "--no-tui", "--output-format", "json", URL], oha
    yield "wrk", ["wrk", "-t", 1, "-c", users, "-d", f"{seconds}s", URL], lambda text, _: per_second(text)
    yield "hey", ["hey", "-z", f"{seconds}s", "-c", users, URL], lambda text, _: per_second(text)
    yield (
        "locust",
        ["locust", "-f", locustfile, "--headless", "-H", URL, "-u", users, "-r", users, "-t", f"{seconds}s", "--csv", "out",
         "--only-summary"],
        locust,
    )


def main():
    options = arguments()
    binaries = build(options.profile)
    all_tools = [tool for tool in tools(binaries, options.users, options.seconds) if not options.only or tool[0] in options.only]
    missing = [name for name, command, _ in all_tools if not shutil.which(str(command[0]))]
    all_tools = [tool for tool in all_tools if tool[0] not in missing]
    server = subprocess.Popen(["taskset", "-c", options.server_core, binaries / "examples" / "trivial_server", str(PORT)])
    time.sleep(0.5)
    rates, costs = {}, {}
    try:
        for round_number in range(options.rounds):
            for name, command, read in all_tools:
                with tempfile.TemporaryDirectory() as folder:
                    text, cpu = run(command, options.generator_core, folder)
                    try:
                        rate = read(text, pathlib.Path(folder))
                    except (KeyError, ValueError, OSError, IndexError, TypeError) as error:
                        raise SystemExit(f"{name}: cannot read its output ({error}):\n{text}")
                rates.setdefault(name, []).append(rate)
                costs.setdefault(name, []).append(cpu / (rate * options.seconds) * 1e6)
                print(f"# round {round_number + 1} {name}: {rate:.0f}/s, {costs[name][-1]:.1f} µs", flush=True)
                time.sleep(1)
    finally:
        server.terminate()
        server.wait()
    print("\n| tool | requests/s, median | lowest to highest | generator CPU a request |\n|---|--:|--:|--:|")
    for name in sorted(rates, key=lambda name: -statistics.median(rates[name])):
        values = rates[name]
        print(
            f"| {name} | {statistics.median(values):,.0f} | {min(values):,.0f} to {max(values):,.0f} "
            f"| {statistics.median(costs[name]):.1f} µs |"
        )
    for name in missing:
        print(f"\n{name} is not installed.")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A long job that goes on while nobody is connected.

Shows: work in the background, ids and offsets that are kept in a file, taking up the output where
it was left, from another process or after a crash: no line is lost or comes twice.

    python3 examples/long_job.py            # both parts
    python3 examples/long_job.py start      # only the first: starts the job, reads a little, goes away
    python3 examples/long_job.py resume     # only the second, at any later time
"""

import json
import pathlib
import sys

from secureagent import Sandbox

NOTE = pathlib.Path("long_job.json")
JOB = "for n in $(seq 1 20); do echo step $n; sleep 0.1; done; echo done"


def start() -> None:
    sb = Sandbox.create(runtime="bash", timeout=600, labels={"example": "long-job"})
    job = sb.run_command(JOB, background=True, timeout=300)
    stream, offset = job.stream(), 0
    for chunk in stream:
        print(chunk.data, end="", flush=True)
        offset = chunk.offset
        if "step 5\n" in chunk.data:
            break
    NOTE.write_text(json.dumps({"sandbox": sb.id, "execution": job.id, "offset": offset}))
    sb.close()  # as if the network had gone; the job does not notice
    print("-- disconnected --")


def resume() -> None:
    note = json.loads(NOTE.read_text())
    sb = Sandbox.connect(note["sandbox"])
    job = sb.executions.attach(note["execution"])
    print(f"-- back, it is {job.info().status} --")
    for chunk in job.stream(offset=note["offset"]):
        print(chunk.data, end="", flush=True)
    print(f"-- exit code {job.info().exit_code} --")
    sb.kill()
    sb.close()
    NOTE.unlink()


if __name__ == "__main__":
    for part in sys.argv[1:] or ["start", "resume"]:
        {"start": start, "resume": resume}[part]()

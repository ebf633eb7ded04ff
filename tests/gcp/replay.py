"""Answers that libcloud's developers recorded from the real API, given to our provider's parsers.

The recordings ship in the package apache-libcloud (`libcloud/test/compute/fixtures/gce`, Apache-2.0): they are read from
where it is installed, and none is copied. Some are old or were changed by hand; the provider must take them all the same.
"""
import os
import subprocess

import libcloud


def run(program, work):
    folder = os.path.join(os.path.dirname(libcloud.__file__), "test", "compute", "fixtures", "gce")
    assert os.path.isdir(folder), f"no recordings in {folder}"
    environment = {**os.environ, "VCYCLE_GCE_RECORDINGS": folder}
    done = subprocess.run(
        [program, "--ignored", "--nocapture", "--test-threads=1"], env=environment, cwd=work, capture_output=True, text=True, timeout=300
    )
    said = [line[line.index("replayed"):] for line in done.stdout.splitlines() if "replayed" in line]
    assert done.returncode == 0 and said, (done.stdout + done.stderr)[-1500:]
    return "; ".join(said)

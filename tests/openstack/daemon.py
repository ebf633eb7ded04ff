"""The program under test: its configuration, its process, and what its commands answer."""
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

from guests import ENTRY, TEMPLATE

SPACE = "day.example"


def toml_value(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    # JSON's texts, numbers, lists and booleans are TOML's.
    return json.dumps(value, ensure_ascii=False)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    def __init__(self, program, work):
        self.program, self.work = program, work
        self.state, self.config, self.log = (os.path.join(work, name) for name in ("state", "vcycle.toml", "daemon.log"))
        self.port, self.admin, self.process = free_port(), free_port(), None
        self.openstack, self.space, self.machinetypes = {}, {}, {}
        for folder in (self.state, os.path.join(work, "library", "played")):
            os.makedirs(folder)
        for name, text in (("entry.toml", ENTRY), ("user_data", TEMPLATE), ("README.md", "# played\n")):
            with open(os.path.join(work, "library", "played", name), "w", encoding="utf-8") as f:
                f.write(text)

    # -------------------------------------------------------------- configuration
    def write(self):
        """The whole configuration anew. A running manager takes it up."""
        lines = ["[site]", 'name = "TEST"', f"state_dir = {toml_value(self.state)}", 'manager = "day"', 'cycle = "3s"',
                 "[library]", f"paths = [{toml_value(os.path.join(self.work, 'library'))}]",
                 "[server]", 'https_host = "127.0.0.1"', f'admin_listen = "127.0.0.1:{self.admin}"',
                 "[server.https]", f'listen = "127.0.0.1:{self.port}"', "[server.limits]", "connections_per_address = 500"]
        tables = {f'space."{SPACE}"': self.space, f'space."{SPACE}".openstack': self.openstack}
        for name, settings in self.machinetypes.items():
            tables[f'space."{SPACE}".machinetype.{name}'] = settings
        for table, settings in tables.items():
            lines += [f"[{table}]"] + [f"{key} = {toml_value(value)}" for key, value in settings.items()]
        with open(self.config + ".new", "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        os.rename(self.config + ".new", self.config)
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    # -------------------------------------------------------------- process
    def start(self):
        environment = {**os.environ, "RUST_LOG": os.environ.get("RUST_LOG", "info")}
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([self.program, "run", "--config", self.config, "--log", "plain"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=environment)

    def stop(self):
        """A clean stop; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self):
        process, self.process = self.process, None
        process.kill()
        process.wait()

    # -------------------------------------------------------------- what it says
    def command(self, *words, ok=(0,)):
        done = subprocess.run([self.program, *words, "--config", self.config], capture_output=True, text=True, timeout=300)
        if ok is not None and done.returncode not in ok:
            raise AssertionError(f"vcycle {' '.join(words)}: code {done.returncode}: {done.stdout[-600:]}{done.stderr[-600:]}")
        return done

    def snapshot(self):
        """What `vcycle status` shows of the space; empty before the first cycle."""
        answer = json.loads(self.command("status", "--json").stdout)
        return next((s["snapshot"] or {} for s in answer["spaces"] if s["space"] == SPACE), {})

    def live(self):
        """The same as its server shows it: what did not change in a cycle is not written to the state directory."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.admin}/api/v1/spaces/{SPACE}", timeout=30) as answer:
            return json.load(answer)

    def last_cycle(self):
        """When the last cycle began; empty when the manager shows none."""
        try:
            return self.live().get("at", "")
        except OSError:
            return ""

    def reason(self, machinetype):
        return next((m["reason"] for m in self.snapshot().get("machinetypes", []) if m["name"] == machinetype), None)

    def space_dir(self, *more):
        return os.path.join(self.state, "spaces", SPACE, *more)

    def deployment(self):
        with open(os.path.join(self.state, "deployment.json")) as f:
            content = json.load(f)
        return next(content[key] for key in ("deployment", "id") if key in content)

    def records(self):
        """All records, of machines that are and were: name -> record."""
        found = {}
        for where in ("deleted", "current"):
            try:
                names = os.listdir(self.space_dir(where))
            except FileNotFoundError:
                continue
            for name in names:
                try:
                    with open(self.space_dir(where, name, "record.json")) as f:
                        found[name] = {**json.load(f), "archived": where == "deleted"}
                except (FileNotFoundError, NotADirectoryError):
                    pass  # moved at this moment, or not a machine's folder
        return found

    def log_tail(self, lines=30):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-lines:])
        except FileNotFoundError:
            return ""


def wait(what, holds, seconds, every=1.0):
    """Looks until it holds; returns what `holds` gave. What goes wrong while looking is told with the rest."""
    end, last = time.monotonic() + seconds, None
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s for {what}{f' ({last})' if last else ''}")
        time.sleep(every)

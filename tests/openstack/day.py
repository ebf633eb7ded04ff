"""A day in the life of the program on one real tenancy. Called by `run`:

  day.py --clouds FILE --tenancy FILE --program vcycle --work DIR [--only WORD] [--rows FILE]

Each step is a row of the table: what happens, and what must come of it. The program's own view (its commands,
its state directory) and the cloud's view (a client that shares no code with it) must agree.
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request

import cloud as openstack
from daemon import SPACE, Daemon, wait
from guests import Guests

# `broken` and `slow` never run, `fizz` runs and goes at once, `imaged` has an image of its own.
WORK = {"entry": "played", "target_share": 1, "fizzle": "10s", "backoff": "30s", "heartbeat": "20s", "grace": "5s"}


class LeftOut(Exception):
    """Why a step was not tried."""


class Day:
    def __init__(self, clouds, tenancy, program, work):
        self.tenancy, self.options, self.levers = tenancy, tenancy.get("options", {}), tenancy.get("levers", {})
        self.clouds, self.work, self.rows = clouds, work, []
        self.cloud = openstack.Cloud(tenancy["cloud"], clouds[tenancy["cloud"]], tenancy.get("region"))
        self.patience = self.options.get("patience_seconds", 300)
        self.machines = tenancy["machines"]
        self.daemon, self.ours, self.others = Daemon(program, work), None, []
        self.other_volumes = []
        self.before, self.ceiling, self.violations = set(), self.machines, []
        self.lock, self.seen, self.seen_at = threading.RLock(), {}, 0.0
        self.guests = None

    # -------------------------------------------------------------- looking
    def look(self, fresh=False):
        """The servers of our deployment as the cloud shows them; each look checks the laws of the whole day."""
        with self.lock:
            if fresh or time.monotonic() > self.seen_at + 1.5:
                everyone = self.cloud.servers()
                self.seen = {i: s for i, s in everyone.items() if s["metadata"].get("vcycle_deployment") == self.ours}
                self.seen_at = time.monotonic()
                self.check_laws(self.seen.values())
            return dict(self.seen)

    def check_laws(self, servers):
        if len(servers) > self.ceiling:
            self.violate(f"{len(servers)} servers of ours, the limit is {self.ceiling}")
        intents = [s["metadata"]["vcycle_intent"] for s in servers if not s.get("OS-EXT-STS:task_state") == "deleting"]
        twice = {intent for intent in intents if intents.count(intent) > 1}
        if twice:
            self.violate(f"one intent, two servers: {sorted(twice)}")

    def violate(self, what):
        if what not in self.violations:
            self.violations.append(what)

    def active(self):
        return {i: s for i, s in self.look().items() if s["status"] == "ACTIVE"}

    def wait_full(self, count, what="all machines to run", machinetype="work", seconds=None):
        """So many machines of a machinetype run, in the cloud's eyes and in the program's, and nothing else is under way."""
        def full():
            servers = [s for s in self.look().values() if s["metadata"]["vcycle_machinetype"] == machinetype]
            if len(servers) != count or any(s["status"] != "ACTIVE" for s in servers):
                return False
            row = next((m for m in self.daemon.snapshot().get("machinetypes", []) if m["name"] == machinetype), None)
            return row and row["phases"]["running"] == count and sum(row["phases"].values()) == count
        wait(f"{what} ({count})", full, seconds or self.patience * 2)
        return {s["name"]: s for s in self.look(fresh=True).values() if s["metadata"]["vcycle_machinetype"] == machinetype}

    def wait_gone(self, server, why=None):
        """The server is gone, the record says why it was deleted, and the folder is archived."""
        wait(f"{server['name']} to be gone", lambda: self.cloud.server(server["id"]) is None, self.patience)
        record = wait(f"{server['name']} to be archived", lambda: (r := self.daemon.records().get(server["name"])) and r["archived"] and r,
                      self.patience)
        told = (record.get("deletion") or {}).get("reason", {}).get("why")
        if why is not None and told not in why:
            raise AssertionError(f"{server['name']} was deleted because {told!r}, not {why}")
        return record

    def steady(self, seconds, what):
        """Nothing of ours comes or goes."""
        before = set(self.look(fresh=True))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = set(self.look(fresh=True))
            if now != before:
                raise AssertionError(f"{what}: {len(before - now)} machines went, {len(now - before)} came")
            time.sleep(2)

    def cycles(self, count=2):
        """So many cycles begin and end."""
        for _ in range(count):
            before = self.daemon.last_cycle()
            wait("a cycle", lambda: self.daemon.last_cycle() > before, 60)

    def replaced(self, server, why):
        record = self.wait_gone(server, why)
        after = self.wait_full(self.machines, "the machine to be replaced")
        if server["name"] in after:
            raise AssertionError(f"{server['name']} came back")
        return record

    def lever(self, name, *words):
        if name not in self.levers:
            raise LeftOut(f"the tenancy file has no lever `{name}`")
        done = subprocess.run(["sh", "-c", " ".join([self.levers[name], *words])], capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise AssertionError(f"lever {name}: {done.stdout}{done.stderr}")

    def option(self, name):
        if not self.options.get(name):
            raise LeftOut(f"the tenancy file has no option `{name}`")
        return self.options[name]

    def configure(self, limit=None, **machinetypes):
        """Machinetypes beside `work`; those of before stay, without a share, as their machines may still be there."""
        for settings in self.daemon.machinetypes.values():
            settings["target_share"] = 0
        base = {**WORK, "flavors": [self.tenancy["flavors"][0]], "root_image": self.tenancy["image"],
                "root_public_key": f"{self.key} day"}
        limit = limit if limit is not None else self.machines
        # The place of the other machinetypes is not for `work`.
        places = limit - len(machinetypes)
        self.daemon.machinetypes["work"] = {**base, "processors_limit": places * self.cloud.flavor(base["flavors"][0])["vcpus"]}
        for name, settings in machinetypes.items():
            self.daemon.machinetypes[name] = {**base, **settings}
        self.ceiling = max(self.ceiling, limit) if len(self.look(fresh=True)) > limit else limit
        # Other people's machines count in the limit, and so do those that were there before us.
        self.daemon.space["machines_limit"] = limit + len(self.others) + len(self.before)
        self.daemon.write()

    # -------------------------------------------------------------- the morning
    def open(self):
        tenancy, options = self.tenancy, self.options
        self.before = set(self.cloud.servers())
        path = os.path.join(self.work, "clouds.yaml")
        entries = {name: self.clouds[name] for name in (tenancy["cloud"], tenancy.get("second_cloud")) if name}
        # Credentials that nobody ever had: what is refused is no user's password, so nobody is locked out.
        first = entries[tenancy["cloud"]]
        entries["refused"] = {**{k: v for k, v in first.items() if k not in ("auth", "auth_type")}, "auth_type": "v3applicationcredential",
                              "auth": {"auth_url": first["auth"]["auth_url"], "application_credential_id": "0" * 32,
                                       "application_credential_secret": "none"}}
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            json.dump({"clouds": entries}, f)  # JSON is YAML
        # A key that nobody has, and no other run either.
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + os.urandom(32)
        self.key = "ssh-ed25519 " + base64.b64encode(blob).decode()
        self.daemon.openstack = {"cloud": tenancy["cloud"], "clouds_file": path, "networks": tenancy["networks"],
                                 "settle": f"{options.get('settle_seconds', 60)}s"}
        for key, setting in (("region", tenancy.get("region")), ("security_groups", tenancy.get("security_groups")),
                             ("boot_volume_gb", options.get("boot_volume_gb")), ("config_drive", options.get("config_drive")),
                             ("volume_gb_per_processor", options.get("data_volume_gb_per_processor"))):
            if setting:
                self.daemon.openstack[key] = setting
        self.daemon.space = {"creations_per_cycle": 50, "delete_pause": "5s", "delete_pause_max": "20s", "cleanup": "1h",
                             "blast_radius": {"machines": 5, "fraction": "60%"}}
        self.ours = "none yet"
        self.configure()
        self.guests = Guests(self.look, self.daemon.space_dir("current"))
        self.guests.off = lambda server: self.cloud.power_off(server["id"])

    def begin(self):
        self.daemon.start()
        wait("the manager to begin", lambda: os.path.exists(os.path.join(self.daemon.state, "deployment.json")), 60)
        self.ours = self.daemon.deployment()

    # -------------------------------------------------------------- steps
    def check_online(self):
        """`vcycle check --online`: everything works"""
        done = self.daemon.command("check", "--online", "--json", ok=None)
        if done.returncode:
            raise AssertionError(f"code {done.returncode}: {done.stdout[-800:]}{done.stderr[-400:]}")
        return f"{len(done.stdout.splitlines())} lines"

    def fill(self):
        """the space is filled"""
        self.begin()
        began = time.monotonic()
        running = self.wait_full(self.machines)
        took = time.monotonic() - began
        for server in running.values():
            self.check_server(server)
        volumes = self.volumes_of(set(s["id"] for s in running.values()))
        wanted = sum(1 for key in ("boot_volume_gb", "data_volume_gb_per_processor") if self.options.get(key)) * self.machines
        if len(volumes) != wanted:
            raise AssertionError(f"{len(volumes)} volumes, not {wanted}")
        return f"{self.machines} machines in {took:.0f} s" + (f", {wanted} volumes" if wanted else "")

    def check_server(self, server):
        metadata = server["metadata"]
        record = self.daemon.records()[server["name"]]
        wanted = {"vcycle_deployment": self.ours, "vcycle_space": SPACE, "vcycle_machinetype": "work", "vcycle_machine": server["name"],
                  "vcycle_intent": record["intent"], "vcycle_generation": str(record["generation"])}
        wrong = {k: (v, metadata.get(k)) for k, v in wanted.items() if metadata.get(k) != v}
        if wrong or record["instance"] != server["id"]:
            raise AssertionError(f"{server['name']}: {wrong}, record {record['instance']}, server {server['id']}")
        pair = self.cloud.call("GET", "compute", f"/os-keypairs/{server['key_name']}")["keypair"]
        if not pair["public_key"].startswith(self.key):
            raise AssertionError(f"the key pair {server['key_name']} is {pair['public_key']}")
        networks = self.tenancy["networks"]
        if isinstance(networks, list):
            names = {self.cloud.network(n)["name"] for n in networks}
            if set(server["addresses"]) != names:
                raise AssertionError(f"{server['name']} is on {sorted(server['addresses'])}, not {sorted(names)}")
        elif (networks == "none") == bool(server["addresses"]):
            raise AssertionError(f"networks = {networks!r}, but {server['name']} is on {sorted(server['addresses'])}")

    def volumes_of(self, servers):
        if not self.cloud.has("volume"):
            return []
        volumes = self.cloud.pages("volume", "/volumes/detail", "volumes")
        return [v for v in volumes if any(a["server_id"] in servers for a in v["attachments"])]

    def metadata_service(self):
        """a guest reads its user_data, byte for byte"""
        url, secret = self.option("metadata_url"), self.options.get("metadata_secret", "")
        server = next(iter(self.active().values()))
        signature = hmac.new(secret.encode(), server["id"].encode(), hashlib.sha256).hexdigest()
        request = urllib.request.Request(f"{url}/openstack/latest/user_data", headers={
            "X-Instance-ID": server["id"], "X-Tenant-ID": self.cloud.project, "X-Instance-ID-Signature": signature})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            read = answer.read()
        with open(self.daemon.space_dir("current", server["name"], "user_data"), "rb") as f:
            if read != f.read():
                raise AssertionError("what the guest reads is not what was written")
        return f"{len(read)} bytes"

    def made_by_hand(self):
        """VMs made by hand count, and are left alone"""
        def stranger(name, metadata=None):
            self.others.append(self.cloud.make_server(name, self.tenancy["flavors"][0], self.tenancy["image"], self.networks(),
                                                      self.options.get("boot_volume_gb"), metadata))
        mine = next(iter(self.look().values()))
        stranger("somebody's VM – bitte nicht löschen")
        stranger(mine["name"])  # one with our name
        stranger("of another deployment", {**mine["metadata"], "vcycle_deployment": "haaaaaaaaaaa", "vcycle_intent": "0" * 8 + mine["metadata"]["vcycle_intent"][8:]})
        wait("them to be counted", lambda: self.daemon.snapshot()["foreign_machines"] == len(self.before) + 3, 60)
        self.steady(12, "three VMs of others above the limit")
        self.configure()  # room for them
        return "one of them with the name of a machine of ours, one of another deployment"

    def networks(self):
        wanted = self.tenancy["networks"]
        return wanted[:1] if isinstance(wanted, list) else wanted

    def deleted_by_hand(self):
        """a VM deleted by hand is replaced"""
        server = next(iter(self.active().values()))
        self.cloud.delete_server(server["id"])
        self.replaced(server, None)

    def ends_by_itself(self):
        """a guest says that it is done and shuts down"""
        server = next(iter(self.active().values()))
        time.sleep(max(0, 12 - self.age(server)))  # it outlives `fizzle`
        self.guests.finish(server, "200 Success")
        record = self.replaced(server, ["ended"])
        if record["ended"]["message"]["code"] != 200:
            raise AssertionError(f"the last words are {record['ended']}")

    def age(self, server):
        started = server.get("OS-SRV-USG:launched_at") or server["created"]
        return time.time() - time.mktime(time.strptime(started[:19], "%Y-%m-%dT%H:%M:%S")) + time.timezone

    def falls_silent(self):
        """a guest that is not heard any more is deleted"""
        server = next(iter(self.active().values()))
        self.guests.silent.add(server["name"])
        self.replaced(server, ["heartbeat-overdue", "silent", "heartbeat"])

    def fizzles(self):
        """machines that go at once make the manager back off"""
        def off(server):
            if server["metadata"]["vcycle_machinetype"] == "fizz":
                self.guests.off(server)
                return True
            return False
        self.guests.at_once = off
        self.configure(limit=self.machines + 1, fizz={"target_share": 50, "backoff": "10m"})
        wait("the backoff", lambda: self.daemon.reason("fizz") in ("backoff", "fizzle-gate"), self.patience)
        wait("it to be gone", lambda: all(r["archived"] for r in self.daemon.records().values() if r["machinetype"] == "fizz"), self.patience)
        self.steady(9, "in the backoff")
        made = [r for r in self.daemon.records().values() if r["machinetype"] == "fizz"]
        self.guests.at_once = None
        self.configure()
        if len(made) != 1:
            raise AssertionError(f"{len(made)} machines were made before the backoff")

    def fails_to_spawn(self):
        """machines that no host takes: their offering is left alone"""
        flavor = self.option("broken_flavor")
        self.configure(limit=self.machines + 1, broken={"target_share": 50, "flavors": [flavor], "mb_per_processor": 256,
                                                        "breaker": {"failures": 2, "pause": "10m", "pause_max": "10m"}})
        wait("the breaker to open", lambda: self.daemon.reason("broken") in ("breaker-open", "offerings-parked"), self.patience)
        reason = self.daemon.reason("broken")
        wait("failed servers to be gone", lambda: all(s["metadata"]["vcycle_machinetype"] != "broken" for s in self.look().values()), self.patience)
        self.steady(9, "with an open breaker")
        made = sum(r["machinetype"] == "broken" for r in self.daemon.records().values())
        self.configure()
        return f"{reason} after {made}"

    def stays_in_build(self):
        """a machine that stays in BUILD is given up"""
        self.lever("freeze")
        try:
            self.configure(limit=self.machines + 1, slow={"target_share": 50, "start_timeout": "12s"})
            record = wait("it to be given up", lambda: next((r for r in self.daemon.records().values() if r["machinetype"] == "slow" and r["deletion"]), None),
                          40)
            self.configure()
        finally:
            self.lever("thaw")
        why = record["deletion"]["reason"]["why"]
        if "start" not in why:
            raise AssertionError(f"it was deleted because {why!r}")
        wait("it to be gone", lambda: all(s["metadata"]["vcycle_machinetype"] != "slow" for s in self.look().values()), self.patience)
        self.wait_full(self.machines)

    def quota_lowered(self):
        """the quota is lowered under us"""
        used = len(self.cloud.servers())
        self.lever("quota", str(used - 1))
        try:
            self.cycles(2)
            server = next(iter(self.active().values()))
            self.guests.finish(server, "200 Success")
            self.wait_gone(server, ["ended"])
            self.cycles(2)
            self.steady(8, "with a full quota")
            reason = self.daemon.reason("work")
            if reason not in ("cloud-quota", "quota-refused"):
                raise AssertionError(f"the reason is {reason!r}")
        finally:
            self.lever("quota", "normal")
        self.wait_full(self.machines, "the place to be filled when the quota is back")
        return reason

    def services_restarted(self):
        """all API services are restarted"""
        before = set(self.look(fresh=True))
        server = next(iter(self.active().values()))
        self.guests.finish(server, "200 Success")  # work that comes up just then
        began = time.monotonic()
        self.lever("restart")
        took = time.monotonic() - began
        self.replaced(server, ["ended"])
        after = set(self.look(fresh=True))
        if len(before - after) != 1:
            raise AssertionError(f"{len(before - after)} machines were lost, not one")
        return f"away for {took:.0f} s"

    def token_revoked(self):
        """every token is revoked"""
        if "revoke" not in self.levers:
            raise LeftOut("the tenancy file has no lever `revoke`")
        before = set(self.look(fresh=True))
        self.lever("revoke")
        self.cloud.token = None
        # Services remember for half a minute that a token was good.
        time.sleep(35)
        self.cycles(3)
        listing = self.daemon.live()["listing"]
        if not listing.startswith("complete") or set(self.look(fresh=True)) != before:
            raise AssertionError(f"listing: {listing}")

    def second_credentials(self):
        """the first credentials are refused: the second are used"""
        if not self.tenancy.get("second_cloud"):
            raise LeftOut("the tenancy file has no `second_cloud`")
        before = set(self.look(fresh=True))
        self.daemon.stop()
        usual = dict(self.daemon.openstack)
        self.daemon.openstack.update(cloud="refused", fallback_cloud=self.tenancy["second_cloud"])
        self.daemon.write()
        self.daemon.start()
        self.wait_full(self.machines, "all machines to be seen with the second credentials")
        self.steady(6, "with the second credentials")
        server = next(iter(self.active().values()))
        self.guests.finish(server, "200 Success")
        self.replaced(server, ["ended"])
        self.daemon.stop()
        self.daemon.openstack = usual
        self.daemon.write()
        self.daemon.start()
        if len(before & set(self.look(fresh=True))) != self.machines - 1:
            raise AssertionError("more than the one machine was replaced")
        self.wait_full(self.machines)

    def killed_while_creating(self):
        """kill -9 in the middle of creates"""
        # Fewer than the blast radius at once: this is about the manager's end.
        ends = list(self.active().values())[:max(2, self.machines // 2)]
        names = {s["name"] for s in self.look(fresh=True).values()}
        for server in ends:
            self.guests.finish(server, "200 Success")
        wait("a create", lambda: {s["name"] for s in self.look(fresh=True).values()} - names, self.patience, every=0.05)
        self.daemon.kill()
        time.sleep(1)
        self.daemon.start()
        self.wait_full(self.machines)
        known = {r["instance"] for r in self.daemon.records().values()}
        strange = set(self.look(fresh=True)) - known
        if strange:
            raise AssertionError(f"servers without a record: {strange}")

    def orphans(self):
        """an orphaned volume of ours is removed, one of nobody is left"""
        if not self.cloud.has("volume"):
            raise LeftOut("the catalogue has no volumes")
        tags = dict(next(iter(self.look().values()))["metadata"])
        tags.update(vcycle_machine="vcycle-work-zzzzzzzzzz", vcycle_intent="00000000-0000-4000-8000-00000000dead")
        made = []
        for metadata in (tags, {}):
            try:
                volume = self.cloud.call("POST", "volume", "/volumes", {"volume": {"size": 1, "name": "test", "metadata": metadata}})["volume"]
            except openstack.Refused as refused:
                if refused.status not in (403, 413):
                    raise
                raise LeftOut(f"no room for two volumes more: {refused}") from None
            made.append(volume["id"])
            self.other_volumes.append(volume["id"])

        def there(volume):
            return "volume" in (self.cloud.call("GET", "volume", f"/volumes/{volume}", ok=(200, 404)) or {})
        wait("the orphan to be removed", lambda: not there(made[0]), self.patience)
        self.cycles(3)
        if not there(made[1]):
            raise AssertionError("a volume without our tags was removed")

    def own_image(self):
        """an image is uploaded, and anew when its file changes"""
        self.option("upload")
        path = os.path.join(self.work, "guest.raw")

        def write(byte):
            with open(path + ".new", "wb") as f:
                f.write(bytes([byte]) * (1 << 20))
            os.rename(path + ".new", path)

        def ours():
            # Any property of the image that names our deployment makes it ours.
            return [i for i in self.cloud.pages("image", "/images?limit=100", "images") if self.ours in map(str, [*i.values(), *i["tags"]])]
        write(7)
        self.configure(limit=self.machines + 1, imaged={"target_share": 50, "root_image": path})
        first = next(iter(self.wait_full(1, "a machine of the uploaded image", "imaged").values()))
        images = ours()
        if len(images) != 1 or images[0]["checksum"] != hashlib.md5(b"\7" * (1 << 20)).hexdigest():
            raise AssertionError(f"images of ours: {images}")
        write(9)
        self.guests.finish(first, "200 Success")
        self.wait_gone(first, ["ended"])
        self.wait_full(1, "a machine of the changed image", "imaged")
        wanted = {hashlib.md5(bytes([byte]) * (1 << 20)).hexdigest() for byte in (7, 9)}
        if {i["checksum"] for i in ours()} != wanted or len(ours()) != 2:
            raise AssertionError(f"images of ours: {ours()}")
        for server in self.look(fresh=True).values():
            if server["metadata"]["vcycle_machinetype"] == "imaged":
                self.configure()
                self.guests.finish(server, "200 Success")
                self.wait_gone(server, ["ended"])
        return "left out: that the old version goes when nobody has used it for an hour"

    def other_settings(self):
        """settings of the cloud are changed while it runs"""
        usual = dict(self.daemon.openstack)
        zone = next(iter(self.active().values()))["OS-EXT-AZ:availability_zone"]
        self.daemon.openstack.update(networks="none", config_drive=True, zones=[zone])
        self.configure(limit=self.machines + 1, bare={"target_share": 50})
        try:
            server = next(iter(self.wait_full(1, "a machine without network", "bare").values()))
            if server["addresses"] or server["config_drive"] != "True" or server["OS-EXT-AZ:availability_zone"] != zone:
                raise AssertionError(f"addresses {server['addresses']}, config drive {server['config_drive']!r}")
        finally:
            self.daemon.openstack = usual
            self.configure()
        self.guests.finish(server, "200 Success")
        self.wait_gone(server, ["ended"])
        self.wait_full(self.machines)
        return f"no network, a config drive, zone {zone}"

    def expiry_told(self):
        """the end of the application credential is told ahead"""
        days = self.option("expires_days")
        told = [alarm for alarm in self.daemon.snapshot()["alarms"] if "expire" in alarm or "credential" in alarm]
        if not told:
            raise AssertionError(f"it ends in {days} days, and nothing is said: {self.daemon.snapshot()['alarms']}")
        return told[0]

    def many(self):
        """many servers, listed page by page"""
        count = self.option("many")
        began = time.monotonic()
        self.configure(limit=count)
        self.wait_full(count, "many machines", seconds=max(self.patience, count * 8))
        snapshot = self.daemon.snapshot()
        page = self.options.get("page")
        self.steady(10, "with many machines")
        return f"{count} in {time.monotonic() - began:.0f} s" + (f", pages of {page}" if page else "") + f", {len(snapshot['machines'])} listed"

    def drained(self):
        """drained: told guests end by themselves, the rest is ended"""
        names = sorted(s["name"] for s in self.active().values())
        self.guests.obedient |= set(names[::2])
        began = time.monotonic()
        self.daemon.command("drain", SPACE, "--by", "20s", "--yes")
        wait("all machines to be gone", lambda: not self.look(fresh=True), max(self.patience, len(names) * 8), every=2)
        wait("all folders to be archived", lambda: all(r["archived"] for r in self.daemon.records().values()), self.patience)
        took = time.monotonic() - began
        ended = [r for r in self.daemon.records().values() if ((r.get("ended") or {}).get("message") or {}).get("code") == 100]
        if not ended:
            raise AssertionError("no guest was told to end")
        self.cycles(2)
        if self.look(fresh=True):
            raise AssertionError("machines are made in a drained space")
        return f"{len(names)} in {took:.0f} s, {len(ended)} by themselves"

    def nothing_left(self):
        """at the end nothing of ours is left, and others' is untouched"""
        code = self.daemon.stop()
        if code:
            raise AssertionError(f"the manager ended with {code}")
        found = leftovers(self.cloud, self.ours)
        if found:
            raise AssertionError(", ".join(found))
        gone = [i for i in self.others if not self.cloud.server(i)]
        if gone:
            raise AssertionError(f"{len(gone)} VMs of others are gone")
        if self.guests.problems:
            raise AssertionError(f"guests were refused: {self.guests.problems[:3]}")
        return f"{len(self.daemon.records())} machines in all, {self.guests.beats} heartbeats"

    def laws(self):
        """at no time more than the limit, nor two for one intent"""
        if self.violations:
            raise AssertionError("; ".join(self.violations))

    STEPS = [check_online, fill, metadata_service, made_by_hand, ends_by_itself, falls_silent, deleted_by_hand, fizzles, fails_to_spawn,
             stays_in_build, quota_lowered, own_image, orphans, other_settings, expiry_told, services_restarted, token_revoked, second_credentials,
             killed_while_creating, many, drained, nothing_left, laws]

    # -------------------------------------------------------------- running
    def run(self, only):
        self.open()
        for step in self.STEPS:
            needed = step.__name__ in ("fill", "drained", "nothing_left", "laws")
            if only and not needed and not any(word in step.__name__ for word in only):
                continue
            if not self.step(step) and step.__name__ == "fill":
                break

    def step(self, step):
        began = time.monotonic()
        print(f"... {step.__doc__}", file=sys.stderr, flush=True)
        try:
            result, note = "ok", step(self) or ""
        except LeftOut as why:
            result, note = "left out", str(why)
        except Exception as error:  # whatever it is, the other steps and the cleaning must go on
            result, note = "FAILED", f"{type(error).__name__}: {error}" if not isinstance(error, AssertionError) else str(error)
            print(f"FAILED: {note}\n{self.daemon.log_tail()}", file=sys.stderr, flush=True)
            if self.guests and self.daemon.log_tail(1) and step.__name__ != "fill":
                self.recover()
        self.rows.append((step.__doc__, result, time.monotonic() - began, note))
        print(f"    {result} {note}", file=sys.stderr, flush=True)
        return result != "FAILED"

    def recover(self):
        """Back to the usual day, so that one failure is told once."""
        try:
            self.guests.at_once = None
            if self.daemon.process is None or self.daemon.process.poll() is not None:
                self.daemon.start()
            self.ceiling = 10**6
            self.configure()
            self.wait_full(self.machines)
        except Exception as error:
            print(f"could not go back to the usual day: {error}", file=sys.stderr)
        self.ceiling = self.machines

    def close(self):
        if self.guests:
            self.guests.stop.set()
        self.daemon.stop()
        for server in self.others:
            self.cloud.delete_server(server)
        for volume in self.other_volumes:
            self.cloud.call("DELETE", "volume", f"/volumes/{volume}", ok=(202, 404))
        for pair in self.cloud.call("GET", "compute", "/os-keypairs")["keypairs"]:
            if self.key in pair["keypair"]["public_key"]:
                self.cloud.call("DELETE", "compute", f"/os-keypairs/{pair['keypair']['name']}", ok=(202, 204, 404))
        if self.ours:
            sweep(self.cloud, self.ours, self.patience * 2)
        wait("VMs made by hand to be gone", lambda: not any(self.cloud.server(i) for i in self.others), self.patience)


# ------------------------------------------------------------------ what is left of a deployment
def belongings(cloud, deployment):
    """Everything that carries the deployment's tag: (kind, service, path)."""
    for ident, server in cloud.servers().items():
        if server["metadata"].get("vcycle_deployment") == deployment:
            yield "server", "compute", f"/servers/{ident}"
    if cloud.has("network"):
        for port in cloud.pages("network", "/ports", "ports"):
            if any(deployment in tag for tag in port.get("tags", [])):
                yield "port", "network", f"/ports/{port['id']}"
    if cloud.has("volume"):
        for volume in cloud.pages("volume", "/volumes/detail", "volumes"):
            if volume["metadata"].get("vcycle_deployment") == deployment:
                yield "volume", "volume", f"/volumes/{volume['id']}"
    for image in cloud.pages("image", "/images?limit=100", "images"):
        if deployment in map(str, [*image.values(), *image["tags"]]):
            yield "image", "image", f"/images/{image['id']}"


def leftovers(cloud, deployment):
    kinds = [kind for kind, _, _ in belongings(cloud, deployment)]
    # An uploaded image that a configuration still names is kept: the next machine needs it.
    return [f"{kinds.count(kind)} {kind}s" for kind in sorted(set(kinds)) if kind != "image"]


def sweep(cloud, deployment, seconds):
    """Removes it all, whatever the program thinks of it."""
    def once():
        there = list(belongings(cloud, deployment))
        servers = [one for one in there if one[0] == "server"]
        for _, service, path in servers or there:
            # A volume that is still attached, a port or an image in use: the next look tries again.
            cloud.call("DELETE", service, path, ok=(200, 202, 204, 400, 403, 404, 409))
        return not there
    wait("everything of ours to be gone", once, seconds, every=2)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    for name in ("clouds", "tenancy", "program", "work"):
        arguments.add_argument(f"--{name}", required=True)
    arguments.add_argument("--only", action="append", default=[])
    arguments.add_argument("--rows")
    arguments.add_argument("--quick", action="store_true")
    args = arguments.parse_args()
    with open(args.tenancy, "rb") as f:
        tenancy = tomllib.load(f)
    if args.quick:
        tenancy.get("options", {}).pop("many", None)
    # Told to end, it cleans up as after a failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    day = Day(openstack.load(args.clouds), tenancy, args.program, args.work)
    try:
        day.run(args.only)
    finally:
        began = time.monotonic()
        try:
            day.close()
        except Exception as error:
            day.rows.append(("everything of the test is removed", "FAILED", time.monotonic() - began, str(error)))
        if args.rows:
            with open(args.rows, "w") as f:
                json.dump(day.rows, f)
    return 1 if any(result == "FAILED" for _, result, _, _ in day.rows) else 0


if __name__ == "__main__":
    sys.exit(main())

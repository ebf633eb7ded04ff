"""Plays the guests: no machine of the test need run anything.

Of each machine whose server has power it reads the `user_data` that the program gave it, and does what a
guest would do with it, over HTTPS with the machine's own token: heartbeats, last words, power-off.
"""
import os
import re
import ssl
import threading
import time
import urllib.error
import urllib.request

from cloud import Refused

TEMPLATE = """#!/bin/sh
# Played by tests/openstack. A guest that really runs ends by itself.
machine='##user_data_machine_hostname##'
joboutputs='##user_data_joboutputs_url##'
jobfeatures='##user_data_jobfeatures_url##'
token='##user_data_option_joboutputs_token##'
ca='
##user_data_option_manager_ca##
'
# Blanks and letters of other alphabets arrive as they were sent: Größe, 粒子.
shutdown -h +120
"""

ENTRY = """name = "played"
version = "1.0"
description = "A guest that the test plays"
contact = "the maintainers of vcycle"

[processors]
min = 1
max = 1

[defaults]
mb_per_processor = 256
heartbeat_file = "heartbeat"
"""


class Guest:
    def __init__(self, folder):
        self.folder, self.name = folder, os.path.basename(folder)
        with open(os.path.join(folder, "user_data"), encoding="utf-8") as f:
            self.user_data = f.read()
        found = dict(re.findall(r"^(\w+)='([^']*)'", self.user_data, re.M))
        self.outputs, self.features, self.token = found["joboutputs"], found["jobfeatures"], found["token"]
        self.tls = ssl.create_default_context(cadata=found["ca"])

    def request(self, method, url, body=None):
        request = urllib.request.Request(url, body, {"Authorization": f"Bearer {self.token}"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.tls))
        with opener.open(request, timeout=30) as answer:
            return answer.read().decode()

    def put(self, name, text):
        self.request("PUT", f"{self.outputs}/{name}", text.encode())

    def told_to_end(self):
        """The time at which it must have ended, if it was told one."""
        try:
            return int(self.request("GET", f"{self.features}/shutdowntime_job"))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise


class Guests:
    """Keeps all guests alive that have power. One thread asks the cloud who they are; another one lives for them, as
    guests go on where the services of the cloud are away."""

    def __init__(self, look, current):
        self.look, self.current = look, current
        self.guests, self.silent, self.obedient, self.beats, self.problems = {}, set(), set(), 0, []
        self.at_once = None  # what a guest of a machinetype does as soon as it has power
        self.servers, self.stop = [], threading.Event()
        for what in (self.watch, self.run):
            threading.Thread(target=what, daemon=True).start()

    def guest(self, name):
        if name not in self.guests:
            self.guests[name] = Guest(os.path.join(self.current, name))
        return self.guests[name]

    def watch(self):
        while not self.stop.wait(2):
            try:
                self.servers = list(self.look().values())
            except (Refused, OSError):
                pass  # those that were seen last live on

    def run(self):
        while not self.stop.wait(2):
            for server in self.servers:
                if server["status"] != "ACTIVE" or not os.path.exists(os.path.join(self.current, server["name"], "user_data")):
                    continue
                try:
                    self.live(server)
                except urllib.error.HTTPError as error:
                    if error.code not in (404, 503):  # it is gone by now, or the manager is busy
                        self.problems.append(f"{server['name']}: {error}")
                except (OSError, ValueError, Refused):
                    pass  # no manager or no cloud listens just now: a guest tries again

    def live(self, server):
        name = server["name"]
        guest = self.guest(name)
        if self.at_once and self.at_once(server):
            return
        if name in self.silent:
            return
        if name in self.obedient and guest.told_to_end():
            self.finish(server, "100 Told to end")
            return
        guest.put("heartbeat", f"{time.time()}\n")
        self.beats += 1

    def finish(self, server, message):
        """Last words, and off."""
        self.silent.add(server["name"])
        self.guest(server["name"]).put("shutdown_message", message)
        self.off(server)

    def off(self, server):
        raise NotImplementedError("set by the day")

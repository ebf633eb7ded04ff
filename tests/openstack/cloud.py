"""A small OpenStack client for the tests, of the standard library alone.

It shares no code with the program under test, so what it sees of a tenancy is a second opinion.
It reads clouds.yaml (and secure.yaml beside it), logs in, and speaks plain REST.
"""
import base64
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request


class Refused(Exception):
    """An answer that was not wanted."""

    def __init__(self, method, url, status, text):
        super().__init__(f"{method} {url}: {status} {text[:300]}")
        self.status = status


# ------------------------------------------------------------------ clouds.yaml
def scalar(text, where):
    """A value of one line: quoted, a flow list or map without nesting, or plain."""
    if text[:1] in "|>&*!":
        raise SystemExit(f"{where}: this reader of YAML knows no {text[:1]!r}; write the value on one line")
    if text[:1] == '"':
        return json.loads(text)
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            if text[0] == "[":
                return [scalar(part.strip(), where) for part in text[1:-1].split(",") if part.strip()]
            raise SystemExit(f"{where}: write this value on lines of its own") from None
    return {"true": True, "false": False, "null": None, "~": None, "yes": True, "no": False}.get(text.lower(), text)


def without_comment(line):
    """The line up to a `#` that begins a comment."""
    quote, skip = None, False
    for i, c in enumerate(line):
        if skip:
            skip = False
        elif quote:
            # A backslash takes the next letter along, and so does the first of two single quotes.
            skip = (quote == '"' and c == "\\") or (quote == c == "'" and line[i + 1:i + 2] == "'")
            quote = None if c == quote and not skip else quote
        elif c in "\"'" and (i == 0 or line[i - 1] in " [{,:"):
            quote = c
        elif c == "#" and (i == 0 or line[i - 1] in " \t"):
            return line[:i].rstrip()
    return line.rstrip()


def yaml(text, where="clouds.yaml"):
    """The part of YAML that clouds.yaml files are written in: maps and lists by indentation, values of one line."""
    if text.lstrip()[:1] == "{":
        return json.loads(text)
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        line = without_comment(line)
        if line.strip() and line.strip() not in ("---", "..."):
            lines.append((len(line) - len(line.lstrip()), line.strip(), f"{where}:{number}"))

    def value(rest, indent, at):
        if rest:
            return scalar(rest, at)
        if lines and (lines[0][0] > indent or (lines[0][0] == indent and lines[0][1].startswith("- "))):
            return block(lines[0][0])
        return None

    def block(indent):
        if lines[0][1].startswith("- "):
            items = []
            while lines and lines[0][0] == indent and lines[0][1].startswith("- "):
                _, text, at = lines.pop(0)
                items.append(value(text[2:].strip(), indent, at))
            return items
        found = {}
        while lines and lines[0][0] == indent and not lines[0][1].startswith("- "):
            _, text, at = lines.pop(0)
            match = re.match(r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^:]+?)\s*:(?:\s+(.*))?$""", text)
            if not match:
                raise SystemExit(f"{at}: not a `key: value`")
            found[str(scalar(match[1], at))] = value((match[2] or "").strip(), indent, at)
        return found

    return block(lines[0][0]) if lines else {}


def merge(below, above):
    """`above` wins, key by key."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {k: merge(below.get(k), above[k]) if k in above else below[k] for k in {**below, **above}}
    return below if above is None else above


def load(path):
    """The clouds of a clouds.yaml, with the secrets of a secure.yaml beside it."""
    with open(path, encoding="utf-8") as f:
        found = yaml(f.read(), path)
    beside = os.path.join(os.path.dirname(os.path.abspath(path)), "secure.yaml")
    if os.path.exists(beside):
        with open(beside, encoding="utf-8") as f:
            found = merge(found, yaml(f.read(), beside))
    return found.get("clouds") or {}


# ------------------------------------------------------------------ REST
KINDS = {
    "compute": ("compute",),
    "image": ("image",),
    "network": ("network",),
    "volume": ("block-storage", "volumev3"),
}
# Microversions of what is asked below: 2.26 has tags, 2.47 the flavour in the server; both are in every supported release.
MICROVERSION = {"compute": "2.52"}


class Cloud:
    """One login to one project."""

    def __init__(self, name, entry, region=None):
        self.name, self.entry = name, entry
        self.region = region or entry.get("region_name")
        self.interface = str(entry.get("interface") or "public").removesuffix("URL")
        self.token, self.ends, self.catalog, self.project, self.user = None, 0.0, [], None, None
        if entry.get("verify") is False:
            self.tls = ssl._create_unverified_context()
        else:
            self.tls = ssl.create_default_context(cafile=entry.get("cacert"))
        local = re.match(r"https?://(127\.|localhost|\[::1\])", str((entry.get("auth") or {}).get("auth_url")))
        proxies = [urllib.request.ProxyHandler({})] if local else []
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=self.tls), *proxies)

    def http(self, method, url, body=None, raw=None, headers=None, timeout=120):
        """One request: status, body (JSON where it is), headers."""
        send = {"Accept": "application/json", **(headers or {})}
        data = raw
        if body is not None:
            data, send["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(url, data, send, method=method)
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                status, text, got = answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            status, text, got = error.code, error.read(), error.headers
        try:
            return status, json.loads(text), got
        except ValueError:
            return status, text.decode("utf-8", "replace"), got

    # -------------------------------------------------------------- identity
    def keystone(self):
        url = self.entry["auth"]["auth_url"].rstrip("/")
        return url if url.endswith("/v3") else url + "/v3"

    def identity(self):
        """What the entry logs in with, and the scope that goes with it."""
        auth = self.entry["auth"]

        def domain(prefix):
            for key in (f"{prefix}_domain_id", f"{prefix}_domain_name", "domain_id", "domain_name"):
                if auth.get(key):
                    return {"id" if key.endswith("id") else "name": auth[key]}
            return {"id": "default"}

        def user():
            if auth.get("user_id"):
                return {"id": auth["user_id"]}
            return {"name": auth["username"], "domain": domain("user")}

        if auth.get("application_credential_secret"):
            credential = {"secret": auth["application_credential_secret"]}
            if auth.get("application_credential_id"):
                credential["id"] = auth["application_credential_id"]
            else:
                credential.update(name=auth["application_credential_name"], user=user())
            return {"methods": ["application_credential"], "application_credential": credential}, None
        if auth.get("token") and not auth.get("password"):
            identity = {"methods": ["token"], "token": {"id": auth["token"]}}
        else:
            identity = {"methods": ["password"], "password": {"user": {**user(), "password": auth["password"]}}}
        if auth.get("project_id") or auth.get("tenant_id"):
            return identity, {"project": {"id": auth.get("project_id") or auth["tenant_id"]}}
        name = auth.get("project_name") or auth["tenant_name"]
        return identity, {"project": {"name": name, "domain": domain("project")}}

    def login(self):
        identity, scope = self.identity()
        body = {"auth": {"identity": identity, **({"scope": scope} if scope else {})}}
        url = self.keystone() + "/auth/tokens"
        status, answer, headers = self.http("POST", url, body)
        if status not in (200, 201):
            raise Refused("POST", url, status, json.dumps(answer))
        self.token, answer = headers["X-Subject-Token"], answer["token"]
        self.ends = time.monotonic() + 1800
        self.catalog, self.user = answer["catalog"], answer["user"]["id"]
        self.project = answer["project"]["id"]

    def base(self, service):
        if service == "identity":
            return self.keystone()
        for kind in KINDS[service]:
            for entry in self.catalog:
                for point in entry["endpoints"] if entry["type"] == kind else []:
                    if point["interface"] == self.interface and self.region in (None, point["region"], point["region_id"]):
                        url = point["url"].rstrip("/")
                        if service == "image" and not url.endswith("/v2"):
                            url += "/v2"
                        if service == "network" and not url.endswith("/v2.0"):
                            url += "/v2.0"
                        return url
        return None

    def has(self, service):
        if not self.token:
            self.login()
        return self.base(service) is not None

    def call(self, method, service, path, body=None, ok=(200, 201, 202, 204), raw=None, headers=None, microversion=None):
        """The body of an answer that is one of `ok`. Reads and deletes are repeated where the cloud is away."""
        send = dict(headers or {})
        microversion = microversion or MICROVERSION.get(service)
        if microversion:
            send["OpenStack-API-Version"] = f"compute {microversion}"
        patience = time.monotonic() + 120
        while True:
            try:
                if not self.token or time.monotonic() > self.ends:
                    self.login()
                url = path if path.startswith("http") else self.base(service) + path
                status, answer, _ = self.http(method, url, body, raw, {**send, "X-Auth-Token": self.token})
            except OSError as error:
                status, answer, url = 0, str(error), path
            if status in ok:
                return answer
            if status == 401:
                self.token = None
            again = status == 401 or (method in ("GET", "DELETE") and (status == 0 or status >= 500))
            if not again or time.monotonic() > patience:
                raise Refused(method, url, status, json.dumps(answer))
            time.sleep(1)

    def pages(self, service, path, kind):
        """All items of a collection, to the last page."""
        found, url = [], path
        while url:
            answer = self.call("GET", service, url)
            found += answer[kind]
            url = next((link["href"] for link in answer.get(f"{kind}_links", []) if link["rel"] == "next"), None)
            if answer.get("next"):  # the image service gives a path below its root
                url = self.base(service).removesuffix("/v2") + answer["next"]
            if url and url.startswith("http:") and self.base(service).startswith("https:"):
                url = "https:" + url[5:]  # a proxy that ends TLS does not always tell the service of it
        return found

    # -------------------------------------------------------------- what the tests look at and do
    def servers(self):
        return {s["id"]: s for s in self.pages("compute", "/servers/detail", "servers")}

    def server(self, server):
        """The server, or None when it is gone."""
        answer = self.call("GET", "compute", f"/servers/{server}", ok=(200, 404))
        return answer.get("server") if isinstance(answer, dict) else None

    def delete_server(self, server):
        self.call("DELETE", "compute", f"/servers/{server}", ok=(204, 404))

    def power_off(self, server):
        """What a guest that shuts itself down looks like from outside. 409: it is off already."""
        self.call("POST", "compute", f"/servers/{server}/action", {"os-stop": None}, ok=(202, 404, 409))

    def flavor(self, name):
        for flavor in self.pages("compute", "/flavors/detail", "flavors"):
            if name in (flavor["name"], flavor["id"]):
                return flavor
        raise SystemExit(f"{self.name}: there is no flavour {name!r}")

    def image(self, name):
        """The newest active image of a name, or the image of an id."""
        query = urllib.parse.urlencode({"name": name, "status": "active", "sort": "created_at:desc"})
        found = self.call("GET", "image", f"/images?{query}")["images"]
        if found:
            return found[0]
        answer = self.call("GET", "image", f"/images/{urllib.parse.quote(name)}", ok=(200, 400, 404))
        if isinstance(answer, dict) and answer.get("id"):
            return answer
        raise SystemExit(f"{self.name}: there is no image {name!r}")

    def network(self, name):
        for network in self.pages("network", "/networks", "networks"):
            if name in (network["name"], network["id"]):
                return network
        raise SystemExit(f"{self.name}: there is no network {name!r}")

    def make_server(self, name, flavor, image, networks, boot_gb=None, metadata=None):
        """Somebody's server: not made by the program."""
        server = {"name": name, "flavorRef": self.flavor(flavor)["id"], "metadata": metadata or {},
                  "user_data": base64.b64encode(b"#!/bin/sh\nshutdown -h +120\n").decode(),
                  "networks": networks if isinstance(networks, str) else [{"uuid": self.network(n)["id"]} for n in networks]}
        image = self.image(image)["id"]
        if boot_gb:
            server["block_device_mapping_v2"] = [{"uuid": image, "source_type": "image", "destination_type": "volume", "boot_index": 0,
                                                  "volume_size": boot_gb, "delete_on_termination": True}]
        else:
            server["imageRef"] = image
        return self.call("POST", "compute", "/servers", {"server": server})["server"]["id"]

    def limits(self):
        return self.call("GET", "compute", "/limits")["limits"]["absolute"]

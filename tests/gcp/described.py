"""The whole discovery document as JSON Schema: holds requests and answers against it.

`jsonschema` is the judge, so that nothing here agrees with our fake only because both are ours.
"""
import json
import os
import re

import googleapiclient
import jsonschema

DOCUMENT = os.path.join(os.path.dirname(googleapiclient.__file__), "discovery_cache", "documents", "compute.v1.json")
BASE = "/compute/v1/"
# Beside what the document lists, each may be written with a dollar.
SYSTEM = {"alt", "apiVersion", "fields", "key", "prettyPrint", "quotaUser", "userIp", "access_token", "oauth_token"}


def without_nulls(value):
    """In JSON to Google, null is as if the field were not there."""
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


class Described:
    def __init__(self):
        with open(DOCUMENT) as file:
            self.document = json.load(file)
        self.methods = list(self._methods(self.document))
        self.checkers = {}

    def _methods(self, node):
        for resource in node.get("resources", {}).values():
            for method in resource.get("methods", {}).values():
                pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(method["path"]))
                yield method["httpMethod"], re.compile(f"^{pattern}$"), method
            yield from self._methods(resource)

    def method(self, verb, path):
        """The method of a request, and what stands in its path for the names."""
        found = []
        for other, pattern, method in self.methods:
            match = other == verb and pattern.match(path)
            if match:
                found.append((len(match.groupdict()), method["id"], method, match.groupdict()))
        found.sort(key=lambda one: one[:2])
        return found[0][2:] if found else (None, {})

    def _converted(self, node, side):
        """A type of the document as JSON Schema. The real API refuses fields that it does not know."""
        if "$ref" in node:
            return {"$ref": f"#/$defs/{node['$ref']}"}
        kind = node.get("type")
        out = {}
        if kind and kind != "any":
            out["type"] = kind
        for key in ("enum", "minimum", "maximum"):
            if key in node:
                out[key] = node[key] if key == "enum" else float(node[key])
        if kind == "string":
            out.pop("minimum", None), out.pop("maximum", None)
        # Patterns of a discovery document are about the whole text.
        if "pattern" in node:
            out["pattern"] = f"^(?:{node['pattern']})$"
        if node.get("format") in ("int64", "uint64"):
            out["pattern"] = "^-?[0-9]+$" if node["format"] == "int64" else "^[0-9]+$"
        if "items" in node:
            out["items"] = self._converted(node["items"], side)
        if kind == "object":
            out["properties"] = {name: self._converted(one, side) for name, one in node.get("properties", {}).items()}
            others = node.get("additionalProperties")
            out["additionalProperties"] = self._converted(others, side) if others else False
        return out

    def checker(self, name, side):
        if (name, side) not in self.checkers:
            definitions = {key: self._converted(one, side) for key, one in self.document["schemas"].items()}
            self.checkers[name, side] = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions})
        return self.checkers[name, side]

    def body(self, name, side, value):
        for error in self.checker(name, side).iter_errors(value):
            yield f"{name}.{'.'.join(str(part) for part in error.absolute_path)}: {error.message[:200]}"

    def exchange(self, one):
        """Everything that is wrong with a recorded exchange: (side, method, what)."""
        verb, path = one["method"], one["path"]
        if not path.startswith(BASE):
            return
        method, names = self.method(verb, path[len(BASE):])
        if method is None:
            yield "request", f"{verb} {path}", "there is no such method"
            return
        of = method["id"]
        parameters = {**self.document["parameters"], **method.get("parameters", {})}
        for name, given in names.items():
            pattern = parameters[name].get("pattern")
            if pattern and not re.fullmatch(pattern, given):
                yield "request", of, f"{{{name}}}: {given!r} does not match {pattern}"
        for name, _ in one["query"]:
            known = parameters.get(name, {}).get("location") == "query"
            if not known and name.lstrip("$") not in SYSTEM:
                yield "request", of, f"?{name}: there is no such parameter"
        if "request" in method:
            for what in self.body(method["request"]["$ref"], "request", without_nulls(one["sent"])):
                yield "request", of, what
        if one["status"] == 200:
            if "response" in method:
                for what in self.body(method["response"]["$ref"], "answer", one["answered"]):
                    yield "answer", of, what
        elif not isinstance(one["answered"], dict) or "message" not in one["answered"].get("error", {}):
            yield "answer", of, f"status {one['status']} without error.message"

"""Cuts the part of Google's Compute Engine description out that our fake serves.

    schema.py extract DOCUMENT OUT    writes the part
    schema.py check DOCUMENT OUT      ends with 1 when OUT is not that part of DOCUMENT

DOCUMENT is `compute.v1.json` as the package google-api-python-client of PyPI ships it
(googleapiclient/discovery_cache/documents; Apache-2.0, Google's). Only names, types, formats, enums and patterns are kept:
no descriptions. The same document always gives the same bytes.
"""
import json
import sys

# Everything that the provider or an independent client of tests/gcp asks for.
METHODS = {
    "diskTypes": ["aggregatedList", "get", "list"],
    "disks": ["aggregatedList", "delete", "get", "insert", "list", "setLabels"],
    "globalOperations": ["aggregatedList", "get", "list", "wait"],
    "images": ["get", "getFromFamily", "list", "testIamPermissions"],
    "instances": [
        "aggregatedList", "delete", "get", "getSerialPortOutput", "insert", "list", "setDiskAutoDelete", "setLabels",
        "setMetadata", "setScheduling", "simulateMaintenanceEvent", "start", "stop", "testIamPermissions",
    ],
    "machineTypes": ["aggregatedList", "get", "list"],
    "networks": ["get", "list"],
    "projects": ["get"],
    "regions": ["get", "list"],
    "subnetworks": ["aggregatedList", "get", "list", "testIamPermissions"],
    "zoneOperations": ["get", "list", "wait"],
    "zones": ["get", "list"],
}
KEPT_OF_METHOD = ("id", "httpMethod", "path")
KEPT_OF_TYPE = ("$ref", "type", "format", "enum", "pattern", "minimum", "maximum", "repeated")
ORIGIN = (
    "Part of compute.v1.json of google-api-python-client 2.202.0 (PyPI), Apache-2.0, Copyright Google LLC. "
    "Made by tests/gcp/schema.py: do not edit."
)


def refs(node):
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def kept_type(node):
    kept = {key: node[key] for key in KEPT_OF_TYPE if key in node}
    if "properties" in node:
        kept["properties"] = {name: kept_type(value) for name, value in sorted(node["properties"].items())}
    for key in ("items", "additionalProperties"):
        if key in node:
            kept[key] = kept_type(node[key])
    # In a request to these methods the field must be there.
    required = node.get("annotations", {}).get("required")
    if required:
        kept["requiredBy"] = sorted(required)
    return kept


def kept_parameter(node):
    kept = {"location": node["location"], **kept_type(node)}
    if node.get("required"):
        kept["required"] = True
    return kept


def kept_method(method):
    kept = {key: method[key] for key in KEPT_OF_METHOD}
    kept["parameters"] = {name: kept_parameter(node) for name, node in sorted(method.get("parameters", {}).items())}
    for key in ("request", "response"):
        if key in method:
            kept[key] = method[key]["$ref"]
    return kept


def extract(document):
    methods = [kept_method(document["resources"][of]["methods"][name]) for of in sorted(METHODS) for name in METHODS[of]]
    wanted, schemas = [method[key] for method in methods for key in ("request", "response") if key in method], {}
    while wanted:
        name = wanted.pop()
        if name not in schemas:
            schemas[name] = kept_type(document["schemas"][name])
            wanted += refs(schemas[name])
    return {
        "origin": ORIGIN,
        "revision": document["revision"],
        "servicePath": document["servicePath"],
        "parameters": {name: kept_parameter(node) for name, node in sorted(document["parameters"].items())},
        "methods": methods,
        "schemas": dict(sorted(schemas.items())),
    }


def lines(part):
    """JSON with one line for each method and each schema, so that a change of Google's is a readable difference."""
    short = lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=True)
    methods = ",\n".join(short(method) for method in part["methods"])
    schemas = ",\n".join(f"{short(name)}:{short(schema)}" for name, schema in part["schemas"].items())
    head = ",\n".join(f"{short(key)}:{short(part[key])}" for key in ("origin", "revision", "servicePath", "parameters"))
    return f'{{\n{head},\n"methods":[\n{methods}\n],\n"schemas":{{\n{schemas}\n}}\n}}\n'


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("extract", "check"):
        sys.exit(__doc__)
    _, what, document, out = sys.argv
    with open(document) as file:
        text = lines(extract(json.load(file)))
    json.loads(text)
    if what == "extract":
        with open(out, "w") as file:
            file.write(text)
        return 0
    with open(out) as file:
        same = file.read() == text
    print(f"{out} is {'the' if same else 'NOT the'} part of {document}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())

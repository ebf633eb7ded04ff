"""Drives the fake with clients that others wrote, and writes the rows of a table: clients.py --help."""
import argparse
import json
import os
import subprocess
import sys
import time
import traceback
import uuid

import google.auth.transport.requests
import google.oauth2.service_account
import googleapiclient
import googleapiclient.discovery
import googleapiclient.errors
import google.api_core.exceptions as gone_wrong
from google.cloud import compute_v1

import replay
from cloud import Cloud, Proxy
from described import DOCUMENT, Described

PROJECT, REGION, ZONE, OTHER = "vcycle-lab", "europe-west2", "europe-west2-a", "europe-west2-b"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
IMAGE = f"projects/{PROJECT}/global/images/family/lab-tiny"
TYPE = "n2-standard-4"
STEPS = []


def step(name):
    def keep(function):
        STEPS.append((name, function))
        return function

    return keep


class Stage:
    """What the steps share."""

    def __init__(self, arguments, cloud, proxy):
        self.arguments, self.cloud, self.proxy = arguments, cloud, proxy
        self.credentials = google.oauth2.service_account.Credentials.from_service_account_file(cloud.key, scopes=[SCOPE])
        self.host = proxy.url.removeprefix("http://")
        self.serial = 0

    def name(self, what):
        self.serial += 1
        return f"{what}-{self.serial:04d}"

    def typed(self, client):
        """A client of google-cloud-compute. Only the transport may be given another host and scheme."""
        transport = client.get_transport_class("rest")(host=self.host, url_scheme="http", credentials=self.credentials)
        return client(transport=transport)

    def discovery(self):
        # The document in the package, not one from the network.
        return googleapiclient.discovery.build(
            "compute", "v1", credentials=self.credentials, static_discovery=True, cache_discovery=False,
            client_options={"api_endpoint": self.proxy.url + "/compute/v1/"},
        )

    def libcloud(self):
        from libcloud.compute.drivers import gce

        port = int(self.host.partition(":")[2])

        class Connection(gce.GCEConnection):
            host = "127.0.0.1"

            poll_interval = 0.1

            def __init__(self, user_id, key, secure, **more):
                super().__init__(user_id, key, False, **{**more, "port": port})

        class Driver(gce.GCENodeDriver):
            connectionCls = Connection

        # libcloud knows one token endpoint, Google's. It takes a token that is in its file.
        self.credentials.refresh(google.auth.transport.requests.Request())
        file = os.path.join(self.arguments.work, "libcloud.json")
        with open(file, "w") as out:
            token = {"access_token": self.credentials.token, "expire_time": "2100-01-01T00:00:00Z", "token_type": "Bearer"}
            json.dump(token, out)
        return Driver(
            self.credentials.service_account_email, self.cloud.key, datacenter=ZONE, project=PROJECT, auth_type="SA", credential_file=file
        )

    def body(self, name, **more):
        return {
            "name": name,
            "machineType": f"zones/{ZONE}/machineTypes/{TYPE}",
            "labels": {"owner": "clients"},
            "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": IMAGE, "diskSizeGb": "12"}}],
            "networkInterfaces": [{"network": "global/networks/default"}],
            "metadata": {"items": [{"key": "user-data", "value": "#cloud-config\n"}]},
            **more,
        }

    def until(self, what, holds, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = holds()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {what}")


def same(found, wanted):
    assert found == wanted, f"{found!r} in place of {wanted!r}"


# --- google-cloud-compute -------------------------------------------------------------------------------------------


def typed_instance(name, **more):
    disk = compute_v1.AttachedDisk(
        boot=True, auto_delete=True, initialize_params=compute_v1.AttachedDiskInitializeParams(source_image=IMAGE, disk_size_gb=12)
    )
    return compute_v1.Instance(
        name=name, machine_type=f"zones/{ZONE}/machineTypes/{TYPE}", disks=[disk], labels={"owner": "clients"},
        network_interfaces=[compute_v1.NetworkInterface(network="global/networks/default")], **more,
    )


def waited(stage, operation):
    """Waits by `wait`, as that client does; 300 ms of the fake."""
    operations = stage.typed(compute_v1.ZoneOperationsClient)
    for _ in range(20):
        operation = operations.wait(project=PROJECT, zone=ZONE, operation=operation.name)
        if operation.status == compute_v1.Operation.Status.DONE:
            return operation
    raise AssertionError("the operation does not end")


@step("google-cloud-compute: insert, wait, get, list, delete, 404")
def typed_life(stage):
    instances, name = stage.typed(compute_v1.InstancesClient), stage.name("typed")
    operation = instances.insert_unary(project=PROJECT, zone=ZONE, instance_resource=typed_instance(name))
    same(operation.status, compute_v1.Operation.Status.RUNNING)
    same(list(waited(stage, operation).error.errors), [])
    get = lambda: instances.get(project=PROJECT, zone=ZONE, instance=name)
    stage.until("RUNNING", lambda: get().status == "RUNNING")
    assert get().id > 2**53, "the number has 64 bits"
    same(get().disks[0].disk_size_gb, 12)
    assert name in [one.name for one in instances.list(project=PROJECT, zone=ZONE)]
    same(waited(stage, instances.delete_unary(project=PROJECT, zone=ZONE, instance=name)).operation_type, "delete")
    try:
        get()
    except gone_wrong.NotFound as error:
        return f"gone: {error.message[-60:]}"
    raise AssertionError("it is still there")


@step("google-cloud-compute: aggregatedList by pages of two, with a filter")
def typed_pages(stage):
    instances = stage.typed(compute_v1.InstancesClient)
    names = {stage.name("page") for _ in range(5)}
    for name in names:
        instances.insert_unary(project=PROJECT, zone=ZONE, instance_resource=typed_instance(name))
    request = compute_v1.AggregatedListInstancesRequest(project=PROJECT, max_results=2, filter="labels.owner:* AND name eq")
    request.filter = '(labels.owner = "clients") (name != "other")'
    found = set()
    for scope, part in instances.aggregated_list(request=request):
        assert scope.startswith("zones/"), scope
        if not part.instances:
            same(part.warning.code, "NO_RESULTS_ON_PAGE")
        found |= {one.name for one in part.instances}
    assert names <= found, f"{names - found} are missing"
    for name in names:
        instances.delete_unary(project=PROJECT, zone=ZONE, instance=name)
    stage.until("their end", lambda: not names & {name for name, _, _ in stage.cloud.tell("machines")})


@step("google-cloud-compute: a stock-out comes inside a DONE operation, and leaves nothing")
def typed_stock_out(stage):
    instances, name = stage.typed(compute_v1.InstancesClient), stage.name("stock")
    stage.cloud.tell("stock-out", TYPE)
    try:
        operation = waited(stage, instances.insert_unary(project=PROJECT, zone=ZONE, instance_resource=typed_instance(name)))
    finally:
        stage.cloud.tell("restock")
    error = operation.error.errors[0]
    same((error.code, operation.http_error_status_code), ("ZONE_RESOURCE_POOL_EXHAUSTED", 503))
    details = [one.error_info.reason for one in error.error_details]
    assert "resource_availability" in details, details
    assert name not in str(stage.cloud.tell("machines")) and name not in stage.cloud.tell("disks")


@step("google-cloud-compute: the same requestId gives the same operation, and no second machine")
def typed_request_id(stage):
    instances, name = stage.typed(compute_v1.InstancesClient), stage.name("twice")
    request = compute_v1.InsertInstanceRequest(
        project=PROJECT, zone=ZONE, instance_resource=typed_instance(name), request_id=str(uuid.uuid4())
    )
    first, second = instances.insert_unary(request=request), instances.insert_unary(request=request)
    same((first.name, first.client_operation_id), (second.name, request.request_id))
    stage.cloud.tell("forget-requests")
    try:
        instances.insert_unary(request=request)
        raise AssertionError("a second machine of one name")
    except gone_wrong.Conflict as error:
        same(error.errors[0]["reason"], "alreadyExists")
    same([entry for entry in stage.cloud.tell("ledger") if entry[0] == name][1:], [])


@step("google-cloud-compute: labels with an old fingerprint are refused with 412")
def typed_labels(stage):
    instances, name = stage.typed(compute_v1.InstancesClient), stage.name("labels")
    instances.insert_unary(project=PROJECT, zone=ZONE, instance_resource=typed_instance(name))
    get = lambda: instances.get(project=PROJECT, zone=ZONE, instance=name)
    old = get().label_fingerprint
    change = lambda mark, labels: instances.set_labels_unary(
        project=PROJECT, zone=ZONE, instance=name,
        instances_set_labels_request_resource=compute_v1.InstancesSetLabelsRequest(label_fingerprint=mark, labels=labels),
    )
    change(old, {"owner": "other"})
    same(dict(get().labels), {"owner": "other"})
    try:
        change(old, {"owner": "third"})
        raise AssertionError("an old fingerprint was taken")
    except gone_wrong.PreconditionFailed as error:
        same(error.errors[0]["reason"], "conditionNotMet")


@step("google-cloud-compute: spot with maxRunDuration and DELETE is preempted and gone")
def typed_spot(stage):
    instances, name = stage.typed(compute_v1.InstancesClient), stage.name("spot")
    scheduling = compute_v1.Scheduling(
        provisioning_model="SPOT", instance_termination_action="DELETE", automatic_restart=False, on_host_maintenance="TERMINATE",
        max_run_duration=compute_v1.Duration(seconds=3600),
    )
    instances.insert_unary(project=PROJECT, zone=ZONE, instance_resource=typed_instance(name, scheduling=scheduling))
    get = lambda: instances.get(project=PROJECT, zone=ZONE, instance=name)
    stage.until("RUNNING", lambda: get().status == "RUNNING")
    same(get().scheduling.max_run_duration.seconds, 3600)
    stage.cloud.tell("preempt", name)
    stage.until("its end", lambda: name not in str(stage.cloud.tell("machines")))
    operations = stage.typed(compute_v1.ZoneOperationsClient)
    request = compute_v1.ListZoneOperationsRequest(project=PROJECT, zone=ZONE, filter='operationType = "compute.instances.preempted"')
    found = [one for one in operations.list(request=request) if one.target_link.endswith(f"/{name}")]
    same([(one.user, one.name[:12]) for one in found], [("system", "systemevent-")])


@step("google-cloud-compute: a status that Google does not list is passed on")
def typed_status(stage):
    instances, name = stage.typed(compute_v1.InstancesClient), stage.name("odd")
    instances.insert_unary(project=PROJECT, zone=ZONE, instance_resource=typed_instance(name))
    stage.cloud.tell("status", name, "LEVITATING")
    same(instances.get(project=PROJECT, zone=ZONE, instance=name).status, "LEVITATING")


@step("google-cloud-compute: quotas, types, images, networks")
def typed_catalogue(stage):
    region = stage.typed(compute_v1.RegionsClient).get(project=PROJECT, region=REGION)
    quotas = {one.metric: one for one in region.quotas}
    assert quotas["INSTANCES"].usage >= 1 and quotas["CPUS"].limit > 0
    kinds = stage.typed(compute_v1.MachineTypesClient)
    same(kinds.get(project=PROJECT, zone=ZONE, machine_type=TYPE).guest_cpus, 4)
    request = compute_v1.ListMachineTypesRequest(project=PROJECT, zone=ZONE, filter=f'(name = "{TYPE}") OR (name = "e2-standard-2")')
    same({one.name for one in kinds.list(request=request)}, {TYPE, "e2-standard-2"})
    images = stage.typed(compute_v1.ImagesClient)
    same(images.get_from_family(project=PROJECT, family="lab-tiny").name, "lab-tiny-2")
    same(stage.typed(compute_v1.SubnetworksClient).get(project=PROJECT, region=REGION, subnetwork="default").name, "default")


@step("google-cloud-compute: a zone that is down is a warning in the aggregated list")
def typed_zone_down(stage):
    stage.cloud.tell("zone-down", OTHER)
    try:
        parts = dict(stage.typed(compute_v1.InstancesClient).aggregated_list(project=PROJECT))
    finally:
        stage.cloud.tell("zone-up", OTHER)
    same(parts[f"zones/{OTHER}"].warning.code, "UNREACHABLE")
    assert parts[f"zones/{ZONE}"].instances


# --- google-api-python-client ---------------------------------------------------------------------------------------


@step("google-api-python-client: insert, wait, get, aggregatedList_next, stop, delete, 404")
def discovered_life(stage):
    api, name = stage.discovery(), stage.name("plain")
    insert = api.instances().insert(project=PROJECT, zone=ZONE, body=stage.body(name), requestId=str(uuid.uuid4())).execute()
    wait = lambda one: api.zoneOperations().wait(project=PROJECT, zone=ZONE, operation=one["name"]).execute()
    same(wait(insert)["status"], "DONE")
    get = lambda: api.instances().get(project=PROJECT, zone=ZONE, instance=name).execute()
    stage.until("RUNNING", lambda: get()["status"] == "RUNNING")
    found, request = set(), api.instances().aggregatedList(project=PROJECT, maxResults=1)
    while request is not None:
        page = request.execute()
        found |= {one["name"] for part in page["items"].values() for one in part.get("instances", [])}
        request = api.instances().aggregatedList_next(request, page)
    assert name in found, found
    wait(api.instances().stop(project=PROJECT, zone=ZONE, instance=name).execute())
    same(get()["status"], "TERMINATED")
    wait(api.instances().delete(project=PROJECT, zone=ZONE, instance=name).execute())
    try:
        get()
        raise AssertionError("it is still there")
    except googleapiclient.errors.HttpError as error:
        same((error.status_code, error.error_details[0]["reason"]), (404, "notFound"))


@step("google-api-python-client: an unknown field, a bad name and a bad filter are refused with 400")
def discovered_refusals(stage):
    api, before = stage.discovery(), len(stage.proxy.exchanges)
    bodies = [stage.body("good-name", colour="red"), stage.body("Bad_Name")]
    calls = [api.instances().insert(project=PROJECT, zone=ZONE, body=body) for body in bodies]
    calls.append(api.instances().list(project=PROJECT, zone=ZONE, filter="colour = red"))
    calls.append(api.instances().list(project=PROJECT, zone=ZONE, maxResults=501))
    for call in calls:
        try:
            call.execute()
            raise AssertionError(f"{call.uri} was taken")
        except googleapiclient.errors.HttpError as error:
            same(error.status_code, 400)
    # These were wrong on purpose.
    del stage.proxy.exchanges[before:]


@step("google-api-python-client: tokens that end early are made anew by its own login")
def discovered_tokens(stage):
    api = stage.discovery()
    api.projects().get(project=PROJECT).execute()
    stage.cloud.tell("end-tokens")
    same(api.projects().get(project=PROJECT).execute()["name"], PROJECT)


# --- apache-libcloud ------------------------------------------------------------------------------------------------


@step("apache-libcloud: connect, create, list, label, destroy")
def libcloud_life(stage):
    driver, name = stage.libcloud(), stage.name("cloud")
    same({zone.name for zone in driver.ex_list_zones()} >= {ZONE, OTHER}, True)
    image = driver.ex_get_image_from_family("lab-tiny", ex_project_list=[PROJECT])
    node = driver.create_node(name, TYPE, image, location=ZONE, ex_labels={"owner": "libcloud"}, ex_metadata={"user-data": "x"})
    same(node.name, name)
    node = stage.until("a running node", lambda: [one for one in driver.list_nodes() if one.name == name and one.state == "running"])[0]
    assert node.public_ips and node.private_ips, node
    assert driver.ex_set_node_labels(node, {"owner": "other"})
    same(driver.ex_get_node(name).extra["labels"], {"owner": "other"})
    assert driver.ex_stop_node(driver.ex_get_node(name))
    same(driver.ex_get_node(name).extra["status"], "TERMINATED")
    assert driver.destroy_node(driver.ex_get_node(name))
    assert name not in str(stage.cloud.tell("machines"))
    assert name not in stage.cloud.tell("disks")


@step("apache-libcloud: a name that is taken, a node that is not there, a stock-out")
def libcloud_errors(stage):
    from libcloud.common.google import GoogleBaseError, ResourceExistsError, ResourceNotFoundError

    driver, name = stage.libcloud(), stage.name("taken")
    image = driver.ex_get_image_from_family("lab-tiny", ex_project_list=[PROJECT])
    make = lambda name: driver.create_node(name, TYPE, image, location=ZONE, use_existing_disk=False)
    make(name)
    for wrong, call in [(ResourceExistsError, lambda: make(name)), (ResourceNotFoundError, lambda: driver.ex_get_node("nobody", ZONE))]:
        try:
            call()
            raise AssertionError(f"no {wrong.__name__}")
        except wrong:
            pass
    stage.cloud.tell("stock-out", TYPE)
    try:
        make(stage.name("none"))
        raise AssertionError("out of stock, and yet made")
    except GoogleBaseError as error:
        assert "does not have enough resources" in str(error), error
    finally:
        stage.cloud.tell("restock")


# --- the description ------------------------------------------------------------------------------------------------


@step("the subset in the repository is the one that schema.py makes of the document")
def subset(stage):
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run([sys.executable, f"{here}/schema.py", "check", DOCUMENT, stage.arguments.subset], check=True, stdout=subprocess.DEVNULL)


@step("every request and every answer of the steps above is what the whole document says")
def all_described(stage):
    described, wrong = Described(), []
    exchanges = [one for one in stage.proxy.exchanges if "LEVITATING" not in json.dumps(one["answered"])]
    for one in exchanges:
        wrong += [f"{side} {of}: {what}" for side, of, what in described.exchange(one)]
    assert not wrong, f"{len(wrong)} problems, such as: " + "; ".join(sorted(set(wrong))[:5])
    methods = {described.method(one["method"], one["path"].removeprefix("/compute/v1/"))[0]["id"] for one in exchanges}
    return f"{len(exchanges)} exchanges of {len(methods)} methods"


@step("the fake's own validator found no other fault in its answers")
def own_validator(stage):
    problems = [one for one in stage.cloud.tell("problems") if one.startswith("Reply")]
    assert not problems, problems[:5]


@step("recorded answers of the real API go through the provider")
def recorded(stage):
    return replay.run(stage.arguments.replay, stage.arguments.work)


def main():
    parser = argparse.ArgumentParser()
    for name in ("fake", "replay", "work", "rows", "subset"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--only", action="append", default=[])
    arguments = parser.parse_args()
    rows, failed = [], False
    with Cloud(arguments.fake, arguments.work) as cloud, Proxy(cloud.url) as proxy:
        stage = Stage(arguments, cloud, proxy)
        for name, function in STEPS:
            if arguments.only and not any(word in name for word in arguments.only):
                continue
            began = time.monotonic()
            try:
                row = ["ok", function(stage) or ""]
            except Exception as error:
                traceback.print_exc()
                row, failed = ["FAILED", f"{type(error).__name__}: {error}"], True
            rows.append([name, row[0], time.monotonic() - began, row[1]])
            print(f"{row[0]:8} {name}", file=sys.stderr)
    with open(arguments.rows, "w") as out:
        json.dump(rows, out)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Amazon's own Python client against our in-process EC2: boto.py FAKE_EC2 ROWS.json [WORD]...

Each case is a function; its rows [case, result, seconds, note] go into the file. boto3 brings its own parser, its own
waiters and paginators, and checks what it sends against Amazon's model of the services. With words, only cases whose
names contain one of them are run.
"""
import json
import subprocess
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, WaiterError

program, rows_file, *words = sys.argv[1:]
TAGS = [{"Key": "vcycle_machine", "Value": "dune-1"}, {"Key": "Name", "Value": "dune-1 <&>"}]
CASES = []


def case(function):
    CASES.append(function)
    return function


class Fake:
    """The fake cloud in a process of its own, with its levers."""

    def __init__(self):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = json.loads(self.process.stdout.readline())

    def lever(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def client(self, service, key=None, secret=None, token=None, region=None, attempts=1):
        # No repeats of its own, so that a case sees each error.
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, connect_timeout=10, read_timeout=30)
        return boto3.client(
            service, endpoint_url=self.about["endpoint"], region_name=region or self.about["region"], config=config,
            aws_access_key_id=key or self.about["key"], aws_secret_access_key=secret or self.about["secret"],
            aws_session_token=token,
        )

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def code_of(call, **arguments):
    """The code and the HTTP status of the error that this must give."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"no error, but {answer}")


def launch(ec2, **more):
    arguments = dict(ImageId="ami-0aaaaaaaaaaaaaaa2", InstanceType="m5.large", MinCount=1, MaxCount=1)
    return ec2.run_instances(**(arguments | more))


def one(ec2, **more):
    return launch(ec2, **more)["Instances"][0]["InstanceId"]


def shown(ec2, id):
    return ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]


def equal(is_, wanted):
    assert is_ == wanted, f"{is_!r}, not {wanted!r}"


FAST = {"Delay": 1, "MaxAttempts": 30}


@case
def a_machine_comes_to_run_and_ends_as_the_waiters_want_it(fake, ec2):
    id = one(ec2, TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}], UserData="#!/bin/sh\n")
    equal(shown(ec2, id)["State"], {"Code": 0, "Name": "pending"})
    ec2.get_waiter("instance_running").wait(InstanceIds=[id], WaiterConfig=FAST)
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[id], WaiterConfig=FAST)
    machine = shown(ec2, id)
    equal({tag["Key"]: tag["Value"] for tag in machine["Tags"]}, {tag["Key"]: tag["Value"] for tag in TAGS})
    assert machine["PrivateIpAddress"] and machine["Placement"]["AvailabilityZone"] and machine["LaunchTime"]
    change = ec2.terminate_instances(InstanceIds=[id])["TerminatingInstances"][0]
    equal((change["PreviousState"]["Name"], change["CurrentState"]["Name"]), ("running", "shutting-down"))
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[id], WaiterConfig=FAST)
    equal(shown(ec2, id)["StateReason"]["Code"], "Client.UserInitiatedShutdown")


@case
def the_resource_layer_reads_the_same_machine(fake, ec2):
    id = one(ec2)
    resource = boto3.resource("ec2", endpoint_url=fake.about["endpoint"], region_name=fake.about["region"],
                              aws_access_key_id=fake.about["key"], aws_secret_access_key=fake.about["secret"])
    machine = resource.Instance(id)
    machine.wait_until_running()
    equal(machine.state["Name"], "running")
    equal([volume.state for volume in machine.volumes.all()], ["in-use"])
    equal(len(machine.network_interfaces), 1)


@case
def a_listing_is_paged_to_the_end(fake, ec2):
    fake.lever("add", 137)
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 25}))
    ids = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    equal((len(pages), len(ids), len(set(ids))), (6, 137, 137))
    equal(code_of(ec2.describe_instances, NextToken="nonsense"), ("InvalidParameterValue", 400))
    equal(code_of(ec2.describe_instances, MaxResults=4), ("InvalidParameterValue", 400))


@case
def filters_choose_and_unknown_ones_are_refused(fake, ec2):
    ours = one(ec2, ClientToken="token-1", TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}])
    one(ec2, InstanceMarketOptions={"MarketType": "spot"})

    def chosen(name, *values):
        answer = ec2.describe_instances(Filters=[{"Name": name, "Values": list(values)}])
        return [i["InstanceId"] for r in answer["Reservations"] for i in r["Instances"]]

    equal(chosen("tag:vcycle_machine", "dune-*"), [ours])
    equal(chosen("tag-key", "vcycle_machine"), [ours])
    equal(chosen("client-token", "token-1"), [ours])
    equal(len(chosen("instance-lifecycle", "spot")), 1)
    equal(len(chosen("instance-state-name", "pending", "running")), 2)
    bad = [{"Name": "nonsense", "Values": ["x"]}]
    equal(code_of(ec2.describe_instances, Filters=bad), ("InvalidParameterValue", 400))


@case
def a_client_token_makes_one_machine(fake, ec2):
    first = launch(ec2, ClientToken="token-1")
    again = launch(ec2, ClientToken="token-1")
    equal(again["ReservationId"], first["ReservationId"])
    id = first["Instances"][0]["InstanceId"]
    equal(again["Instances"][0]["InstanceId"], id)
    other = code_of(launch, ec2=ec2, ClientToken="token-1", InstanceType="m5.xlarge")
    equal(other, ("IdempotentParameterMismatch", 400))
    ec2.terminate_instances(InstanceIds=[id])
    equal(code_of(launch, ec2=ec2, ClientToken="token-1"), ("IdempotentInstanceTerminated", 400))
    equal(fake.lever("ledger")["machines"], 1)


@case
def a_lost_reply_is_repeated_by_the_client_and_makes_one_machine(fake, ec2):
    # boto3's own repeat, with the token that it makes up for a call.
    patient = fake.client("ec2", attempts=3)
    fake.lever("lose-reply", "RunInstances")
    one(patient)
    ledger = fake.lever("ledger")
    equal((ledger["machines"], ledger["made_twice"]), (1, []))
    fake.lever("lose-reply", "RunInstances")
    try:
        one(ec2)
        raise AssertionError("the reply was not lost")
    except HTTPClientError:
        pass


@case
def a_few_of_many_are_made_when_there_are_no_more(fake, ec2):
    fake.lever("short-after", 3, "m5.large")
    answer = launch(ec2, MinCount=1, MaxCount=5)
    equal(len(answer["Instances"]), 3)
    equal([i["AmiLaunchIndex"] for i in answer["Instances"]], [0, 1, 2])
    equal(code_of(launch, ec2=ec2), ("InsufficientInstanceCapacity", 500))
    fake.lever("restock")
    one(ec2)


@case
def limits_are_told_and_kept(fake, ec2):
    fake.lever("limits", 4, 2)
    launch(ec2, MinCount=2, MaxCount=2)
    equal(code_of(launch, ec2=ec2), ("VcpuLimitExceeded", 400))
    spot = {"MarketType": "spot"}
    one(ec2, InstanceMarketOptions=spot)
    equal(code_of(launch, ec2=ec2, InstanceMarketOptions=spot), ("MaxSpotInstanceCountExceeded", 400))
    quotas = fake.client("service-quotas")
    quota = quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]
    equal((quota["Value"], quota["Unit"]), (4.0, "None"))
    every = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="ec2")
    equal(sorted(quota["QuotaCode"] for page in every for quota in page["Quotas"]), ["L-1216C47A", "L-34B43A08"])
    equal(code_of(quotas.get_service_quota, ServiceCode="ec2", QuotaCode="L-0"), ("NoSuchResourceException", 400))


@case
def a_dry_run_makes_nothing(fake, ec2):
    equal(code_of(launch, ec2=ec2, DryRun=True), ("DryRunOperation", 412))
    equal(code_of(ec2.describe_instances, DryRun=True), ("DryRunOperation", 412))
    missing = code_of(launch, ec2=ec2, DryRun=True, ImageId="ami-0123456789abcdef0")
    equal(missing, ("InvalidAMIID.NotFound", 400))
    equal(fake.lever("ledger")["machines"], 0)


@case
def what_is_wrong_with_a_launch_is_said_in_the_codes_of_ec2(fake, ec2):
    for wanted, arguments in {
        "InvalidAMIID.Malformed": {"ImageId": "ami-xyz"},
        "InvalidParameterValue": {"InstanceType": "m9.huge"},
        "InvalidSubnetID.NotFound": {"SubnetId": "subnet-0123456789abcdef0"},
        "InvalidGroup.NotFound": {"SecurityGroupIds": ["sg-0123456789abcdef0"]},
        "InvalidKeyPair.NotFound": {"KeyName": "nobody"},
        "InvalidUserData.Malformed": {"UserData": "x" * 16385},
        "TagLimitExceeded": {"TagSpecifications": [{"ResourceType": "instance", "Tags": [
            {"Key": f"k{n}", "Value": ""} for n in range(51)]}]},
        "InvalidBlockDeviceMapping": {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]},
    }.items():
        equal(code_of(launch, ec2=ec2, **arguments), (wanted, 400))
    equal(code_of(launch, ec2=ec2, Placement={"AvailabilityZone": "eu-west-2z"}), ("InvalidParameterValue", 400))
    one(ec2, UserData="x" * 16384)


@case
def ids_that_do_not_exist_are_named_and_nothing_else_is_ended(fake, ec2):
    id = one(ec2)
    a, b = "i-0123456789abcdef0", "i-0123456789abcdef1"
    try:
        ec2.terminate_instances(InstanceIds=[id, a, b])
        raise AssertionError("no error")
    except ClientError as error:
        equal(error.response["Error"]["Code"], "InvalidInstanceID.NotFound")
        assert a in error.response["Error"]["Message"] and b in error.response["Error"]["Message"]
    equal(shown(ec2, id)["State"]["Name"], "pending")
    equal(code_of(ec2.terminate_instances, InstanceIds=["i-xyz"]), ("InvalidInstanceID.Malformed", 400))


@case
def a_terminated_machine_loses_its_tags_and_is_then_forgotten(fake, ec2):
    id = one(ec2, TagSpecifications=[{"ResourceType": "instance", "Tags": TAGS}])
    ec2.terminate_instances(InstanceIds=[id])
    fake.lever("pass", 10)
    assert shown(ec2, id)["Tags"] and "VpcId" not in shown(ec2, id)
    fake.lever("pass", 1500)
    equal(shown(ec2, id).get("Tags", []), [])
    fake.lever("pass", 3600)
    equal(code_of(ec2.describe_instances, InstanceIds=[id]), ("InvalidInstanceID.NotFound", 400))


@case
def a_fresh_machine_may_be_unknown_for_a_while(fake, ec2):
    fake.lever("lag", 5, 0)
    id = one(ec2)
    equal(code_of(ec2.describe_instances, InstanceIds=[id]), ("InvalidInstanceID.NotFound", 400))
    equal(ec2.describe_instances()["Reservations"], [])
    # boto3's waiter takes NotFound for "not yet".
    ec2.get_waiter("instance_running").wait(InstanceIds=[id], WaiterConfig=FAST)


@case
def a_launch_can_fail_after_it_was_accepted(fake, ec2):
    fake.lever("fail-launches", 1)
    id = one(ec2)
    try:
        ec2.get_waiter("instance_running").wait(InstanceIds=[id], WaiterConfig=FAST)
        raise AssertionError("it runs")
    except WaiterError:
        pass
    machine = shown(ec2, id)
    equal((machine["State"]["Name"], machine["StateReason"]["Code"]), ("terminated", "Client.VolumeLimitExceeded"))


@case
def a_spot_machine_is_taken_back_after_a_notice(fake, ec2):
    id = one(ec2, InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}})
    fake.lever("pass", 5)
    machine = shown(ec2, id)
    equal(machine["InstanceLifecycle"], "spot")
    request = machine["SpotInstanceRequestId"]
    ec2.get_waiter("spot_instance_request_fulfilled").wait(SpotInstanceRequestIds=[request], WaiterConfig=FAST)
    fake.lever("interrupt", id)
    sqs = fake.client("sqs")
    equal(sqs.get_queue_url(QueueName="vcycle-interruptions")["QueueUrl"], fake.about["queue"])
    message = sqs.receive_message(QueueUrl=fake.about["queue"], MaxNumberOfMessages=10)["Messages"][0]
    event = json.loads(message["Body"])
    equal((event["detail-type"], event["source"]), ("EC2 Spot Instance Interruption Warning", "aws.ec2"))
    equal(event["detail"], {"instance-id": id, "instance-action": "terminate"})
    assert "Messages" not in sqs.receive_message(QueueUrl=fake.about["queue"]), "it is hidden for a while"
    sqs.delete_message(QueueUrl=fake.about["queue"], ReceiptHandle=message["ReceiptHandle"])
    equal(shown(ec2, id)["State"]["Name"], "running")
    fake.lever("pass", 121)
    equal(shown(ec2, id)["StateReason"]["Code"], "Server.SpotInstanceTermination")
    status = ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request])["SpotInstanceRequests"][0]
    equal(status["Status"]["Code"], "instance-terminated-no-capacity")
    nowhere = fake.about["queue"] + "-of-nobody"
    equal(code_of(sqs.receive_message, QueueUrl=nowhere)[1], 400)


@case
def a_guest_that_shuts_down_stops_or_ends_its_machine(fake, ec2):
    stops, ends = one(ec2), one(ec2, InstanceInitiatedShutdownBehavior="terminate")
    fake.lever("pass", 5)
    fake.lever("guest-ends", stops)
    fake.lever("guest-ends", ends)
    fake.lever("pass", 5)
    equal([shown(ec2, id)["State"]["Name"] for id in (stops, ends)], ["stopped", "terminated"])
    equal(shown(ec2, ends)["StateReason"]["Code"], "Client.InstanceInitiatedShutdown")


@case
def volumes_and_interfaces_carry_tags_and_go_or_stay(fake, ec2):
    kinds = ("instance", "volume", "network-interface")
    tags = [{"ResourceType": kind, "Tags": TAGS} for kind in kinds]
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 40, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}}
    ours = [{"Name": "tag:vcycle_machine", "Values": ["dune-1"]}]

    def volumes():
        return [v for page in ec2.get_paginator("describe_volumes").paginate(Filters=ours) for v in page["Volumes"]]

    def interfaces():
        pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=ours)
        return [i for page in pages for i in page["NetworkInterfaces"]]

    first = one(ec2, TagSpecifications=tags, BlockDeviceMappings=[disk])
    equal([(v["Size"], v["Encrypted"], v["State"]) for v in volumes()], [(40, True, "in-use")])
    equal([i["Status"] for i in interfaces()], ["in-use"])
    in_use = volumes()[0]["VolumeId"]
    equal(code_of(ec2.delete_volume, VolumeId=in_use), ("VolumeInUse", 400))
    ec2.terminate_instances(InstanceIds=[first])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[first], WaiterConfig=FAST)
    equal((volumes(), interfaces()), ([], []))
    fake.lever("leaves-side-resources")
    second = one(ec2, TagSpecifications=tags)
    ec2.terminate_instances(InstanceIds=[second])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[second], WaiterConfig=FAST)
    left, port = volumes()[0]["VolumeId"], interfaces()[0]["NetworkInterfaceId"]
    ec2.delete_volume(VolumeId=left)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[left], WaiterConfig=FAST)
    ec2.delete_network_interface(NetworkInterfaceId=port)
    equal((volumes(), interfaces()), ([], []))


@case
def images_types_offerings_networks_and_keys_can_be_read(fake, ec2):
    newest = ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": ["worker-*"]}])["Images"]
    newest = max(newest, key=lambda image: image["CreationDate"])
    equal(newest["ImageId"], "ami-0aaaaaaaaaaaaaaa2")
    equal(len(ec2.describe_images(Owners=["amazon"])["Images"]), 1)
    ec2.get_waiter("image_available").wait(ImageIds=[newest["ImageId"]], WaiterConfig=FAST)
    types = ec2.get_paginator("describe_instance_types").paginate(InstanceTypes=["m5.large", "c5.4xlarge"])
    found = {t["InstanceType"]: (t["VCpuInfo"]["DefaultVCpus"], t["MemoryInfo"]["SizeInMiB"]) for page in types for t in page["InstanceTypes"]}
    equal(found, {"m5.large": (2, 8192), "c5.4xlarge": (16, 32768)})
    equal(code_of(ec2.describe_instance_types, InstanceTypes=["m9.huge"]), ("InvalidInstanceType", 400))
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m5.large"]}])
    equal(sorted(o["Location"] for page in pages for o in page["InstanceTypeOfferings"]), ["eu-west-2a", "eu-west-2b", "eu-west-2c"])
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    equal({z["State"] for z in zones}, {"available"})
    equal(len(ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]), 3)
    groups = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["workers"]}])["SecurityGroups"]
    equal(len(groups), 1)
    assert ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["IsDefault"]
    assert ec2.describe_account_attributes()["AccountAttributes"]
    key = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a"
    ec2.import_key_pair(KeyName="k", PublicKeyMaterial=key)
    equal(code_of(ec2.import_key_pair, KeyName="k", PublicKeyMaterial=key), ("InvalidKeyPair.Duplicate", 400))
    ec2.get_waiter("key_pair_exists").wait(KeyNames=["k"], WaiterConfig=FAST)
    one(ec2, KeyName="k")
    ec2.delete_key_pair(KeyName="k")
    equal(ec2.describe_key_pairs()["KeyPairs"], [])


@case
def tags_can_be_set_and_removed_later(fake, ec2):
    id = one(ec2)
    ec2.create_tags(Resources=[id], Tags=TAGS)
    equal(len(shown(ec2, id)["Tags"]), 2)
    pages = ec2.get_paginator("describe_tags").paginate(Filters=[{"Name": "resource-id", "Values": [id]}])
    equal(len([tag for page in pages for tag in page["Tags"]]), 2)
    ec2.delete_tags(Resources=[id], Tags=[{"Key": "Name"}])
    equal([tag["Key"] for tag in shown(ec2, id)["Tags"]], ["vcycle_machine"])


@case
def too_many_calls_are_throttled_and_the_clients_repeat_them(fake, ec2):
    fake.lever("throttle", 1)
    equal(code_of(ec2.describe_instances), ("RequestLimitExceeded", 503))
    fake.lever("throttle", 2)
    equal(fake.client("ec2", attempts=4).describe_instances()["Reservations"], [])
    fake.lever("rates")
    refused = 0
    for _ in range(12):
        try:
            one(ec2)
        except ClientError as error:
            equal(error.response["Error"]["Code"], "RequestLimitExceeded")
            refused += 1
    assert refused > 0, "twelve launches at once passed"


@case
def a_zone_that_is_down_fails_listings_but_not_looks_at_others(fake, ec2):
    here = one(ec2, Placement={"AvailabilityZone": "eu-west-2a"})
    there = one(ec2, Placement={"AvailabilityZone": "eu-west-2b"})
    fake.lever("zone-fails", "eu-west-2b")
    equal(code_of(ec2.describe_instances), ("InternalError", 500))
    equal(code_of(ec2.describe_instances, InstanceIds=[there]), ("InternalError", 500))
    equal(shown(ec2, here)["InstanceId"], here)
    fake.lever("zones-recover")
    equal(len(ec2.describe_instances()["Reservations"]), 2)


@case
def only_who_signs_with_the_key_is_answered(fake, ec2):
    wrong = fake.client("ec2", secret="not the secret")
    equal(code_of(wrong.describe_instances), ("AuthFailure", 401))
    equal(code_of(fake.client("ec2", key="AKIANOBODY").describe_instances), ("AuthFailure", 401))
    equal(code_of(fake.client("ec2", region="us-east-1").describe_instances), ("AuthFailure", 401))
    equal(code_of(fake.client("sqs", secret="x").receive_message, QueueUrl=fake.about["queue"])[1], 403)
    fake.lever("refuse-everybody")
    equal(code_of(ec2.describe_instances), ("AuthFailure", 401))
    fake.lever("refuse-nobody")
    ec2.describe_instances()


@case
def a_role_is_assumed_with_its_external_id(fake, ec2):
    sts = fake.client("sts")
    me = sts.get_caller_identity()
    equal((me["Account"], me["Arn"]), ("123456789012", "arn:aws:iam::123456789012:user/vcycle"))
    wanted = {"RoleArn": fake.about["role"], "RoleSessionName": "session"}
    equal(code_of(sts.assume_role, **wanted), ("AccessDenied", 403))
    keys = sts.assume_role(ExternalId="external-0001", **wanted)["Credentials"]
    inside = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    role = fake.client("sts", *inside).get_caller_identity()["Arn"]
    equal(role, "arn:aws:sts::123456789012:assumed-role/vcycle-role/session")
    one(fake.client("ec2", *inside))
    equal(code_of(fake.client("ec2", *inside[:2]).describe_instances), ("AuthFailure", 401))


@case
def what_is_not_there_is_refused_and_not_ignored(fake, ec2):
    equal(code_of(ec2.describe_fleets), ("InvalidAction", 400))
    equal(code_of(launch, ec2=ec2, PrivateIpAddress="172.31.0.9"), ("UnknownParameter", 400))


def main():
    rows = []
    for run in CASES:
        name = run.__name__.replace("_", " ")
        if words and not any(word in run.__name__ or word in name for word in words):
            continue
        begin, fake = time.monotonic(), Fake()
        try:
            run(fake, fake.client("ec2"))
            result, note = "ok", ""
        except Exception as error:  # noqa: BLE001: whatever it is, it is the result
            result, note = "FAILED", f"{type(error).__name__}: {error}"
        finally:
            fake.close()
        rows.append([name, result, time.monotonic() - begin, note])
    with open(rows_file, "w") as f:
        json.dump(rows, f)
    return 1 if any(row[1] == "FAILED" for row in rows) or not rows else 0


if __name__ == "__main__":
    sys.exit(main())

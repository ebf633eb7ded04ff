"""Waits for moto, and makes a user there who may use EC2: authenticated.py ENDPOINT FILE.

moto lets the first INITIAL_NO_AUTH_ACTION_COUNT calls pass unchecked, which are these three. From then on signatures
and policies are checked. moto knows no resources and conditions in policies of EC2, so the user may do with everything
what etc/aws-policy.json lets him do with ours.
"""
import json
import os
import sys
import time
import urllib.request

import boto3

endpoint, file = sys.argv[1:]
REGION = "eu-west-2"


def wait():
    while True:
        try:
            urllib.request.urlopen(endpoint + "/moto-api/", timeout=5).close()
            return
        except OSError:
            time.sleep(0.2)


wait()
iam = boto3.client("iam", endpoint_url=endpoint, region_name=REGION, aws_access_key_id="anybody", aws_secret_access_key="anything")
iam.create_user(UserName="vcycle")
with open(os.path.join(os.path.dirname(__file__), "../../etc/aws-policy.json")) as f:
    statements = json.load(f)["Statement"]
actions = set()
for statement in statements:
    action = statement["Action"]
    actions.update([action] if isinstance(action, str) else action)
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}]}
iam.put_user_policy(UserName="vcycle", PolicyName="vcycle", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="vcycle")["AccessKey"]
with open(file, "w") as f:
    json.dump({"endpoint": endpoint, "region": REGION, "key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}, f)

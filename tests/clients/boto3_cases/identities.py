"""IAM and STS: users, and what their keys can do."""

import json

import boto3
from botocore.config import Config

from boto3_cases.context import Cases, refused
from report import expect

CASES = Cases()


def service(c, name, **more):
    """A client of another service on the same endpoint."""
    options = {"aws_access_key_id": c.target.access_key, "aws_secret_access_key": c.target.secret_key} | more
    return boto3.Session().client(name, endpoint_url=c.target.endpoint, region_name=c.target.region,
                                  verify=str(c.target.ca) if c.target.ca else None,
                                  config=Config(retries={"total_max_attempts": 1}), **options)


def allow(*actions, resource="*"):
    """A document of one statement."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def new_user(c):
    """A user's name, and a client of S3 with its key."""
    iam = service(c, "iam")
    name = f"boto3-{c.bucket}-{next(c._numbers)}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return name, c.client(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"]), key


def end(c, name):
    """Takes a user away with all that it has."""
    iam = service(c, "iam")
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    iam.delete_user(UserName=name)


@CASES.add
def a_key_tells_whose_it_is(c):
    name, _, key = new_user(c)
    mine = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    who = service(c, "sts", **mine).get_caller_identity()
    expect(who["Arn"].rsplit(":", 1)[1], f"user/{name}")
    root = service(c, "sts").get_caller_identity()
    expect([root["Arn"], root["Account"]], [f"arn:aws:iam::{who['Account']}:root", who["Account"]])
    end(c, name)


@CASES.add
def a_user_does_what_its_policy_says(c):
    name, s3, _ = new_user(c)
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=c.bucket, Key="in/k", Body=b"x")
    policy = allow("s3:PutObject", "s3:GetObject", resource=f"arn:aws:s3:::{c.bucket}/in/*")
    iam = service(c, "iam")
    iam.put_user_policy(UserName=name, PolicyName="in", PolicyDocument=policy)
    expect(iam.get_user_policy(UserName=name, PolicyName="in")["PolicyDocument"], json.loads(policy))
    s3.put_object(Bucket=c.bucket, Key="in/k", Body=b"x")
    expect(s3.get_object(Bucket=c.bucket, Key="in/k")["Body"].read(), b"x")
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=c.bucket, Key="out/k", Body=b"x")
    with refused("AccessDenied", 403):
        s3.copy_object(Bucket=c.bucket, Key="in/copy", CopySource={"Bucket": c.bucket, "Key": "out/k"})
    answer = s3.delete_objects(Bucket=c.bucket, Delete={"Objects": [{"Key": "in/k"}]})
    expect([error["Code"] for error in answer["Errors"]], ["AccessDenied"])
    end(c, name)


@CASES.add
def errors_are_those_of_iam(c):
    iam = service(c, "iam")
    with refused("NoSuchEntity", 404):
        iam.get_user(UserName="nobody-at-all")
    with refused("MalformedPolicyDocument", 400):
        iam.create_policy(PolicyName="bad", PolicyDocument="{}")
    with refused("InvalidAction", 400):
        iam.list_roles()
    with refused("InvalidAction", 400):
        service(c, "sts").get_session_token()
    with refused("SignatureDoesNotMatch", 403):
        service(c, "iam", aws_secret_access_key="wrong-secret").list_users()
    with refused("InvalidClientTokenId", 403):
        service(c, "iam", aws_access_key_id="AKIAABCDEFGHIJKLMNOP").list_users()


@CASES.add
def lists_are_paged(c):
    iam = service(c, "iam")
    names = [f"page-{c.bucket}-{number}" for number in range(5)]
    for name in names:
        iam.create_user(UserName=name, Path="/pages/")
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 2}))
    expect([len(page["Users"]) for page in pages], [2, 2, 1])
    expect([user["UserName"] for page in pages for user in page["Users"]], names)
    for name in names:
        iam.delete_user(UserName=name)

"""IAM and STS: users, and what their keys can do."""

import json
import os
import tempfile
from pathlib import Path
from unittest import mock

import boto3
from botocore.config import Config

from boto3_cases.addressing import resolving_to_loopback
from boto3_cases.context import Cases, refused
from boto3_cases.presigned import fetch, sign
from report import expect
from tls import DOMAIN

CASES = Cases()


def service(c, name, **more):
    """A client of another service on the same endpoint."""
    options = {"aws_access_key_id": c.target.access_key, "aws_secret_access_key": c.target.secret_key,
               "endpoint_url": c.target.endpoint} | more
    return boto3.Session().client(name, region_name=c.target.region,
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
        iam.list_saml_providers()
    with refused("InvalidAction", 400):
        service(c, "sts").decode_authorization_message(EncodedMessage="message")
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


def new_role(c, user, *actions):
    """A role's ARN and its name, which this user may assume and which may do this in the bucket."""
    iam = service(c, "iam")
    name = f"role-{c.bucket}-{next(c._numbers)}"
    arn = iam.get_user(UserName=user)["User"]["Arn"]
    trust = {"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, Description="of a test")["Role"]
    expect([role["RoleName"], role["AssumeRolePolicyDocument"]["Statement"]], [name, [trust]])
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=allow(*actions, resource=f"arn:aws:s3:::{c.bucket}/*"))
    iam.update_role(RoleName=name, MaxSessionDuration=7200)
    expect(iam.get_role(RoleName=name)["Role"]["MaxSessionDuration"], 7200)
    return role["Arn"], name


def end_role(c, name):
    """Takes a role away."""
    iam = service(c, "iam")
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)


def in_session(c, credentials):
    """A client of S3 with temporary credentials."""
    return service(c, "s3", aws_access_key_id=credentials["AccessKeyId"], aws_secret_access_key=credentials["SecretAccessKey"],
                   aws_session_token=credentials["SessionToken"])


@CASES.add
def a_session_does_what_its_role_and_its_policy_say(c):
    user, _, key = new_user(c)
    arn, role = new_role(c, user, "s3:PutObject", "s3:GetObject")
    mine = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    sts = service(c, "sts", **mine)
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="one", DurationSeconds=7200)
    assert answer["AssumedRoleUser"]["Arn"].endswith(f":assumed-role/{role}/one"), answer
    s3 = in_session(c, answer["Credentials"])
    s3.put_object(Bucket=c.bucket, Key="k", Body=b"x")
    expect(s3.get_object(Bucket=c.bucket, Key="k")["Body"].read(), b"x")
    with refused("AccessDenied", 403):
        s3.list_objects_v2(Bucket=c.bucket)
    limited = sts.assume_role(RoleArn=arn, RoleSessionName="two", Policy=allow("s3:GetObject"),
                              PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}])
    assert 0 < limited["PackedPolicySize"] < 100, limited
    s3 = in_session(c, limited["Credentials"])
    expect(s3.get_object(Bucket=c.bucket, Key="k")["Body"].read(), b"x")
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=c.bucket, Key="k", Body=b"y")
    with refused("AccessDenied", 403):
        service(c, "sts").assume_role(RoleArn=arn, RoleSessionName="root")
    of_user = in_session(c, sts.get_session_token()["Credentials"])
    with refused("AccessDenied", 403):
        of_user.get_object(Bucket=c.bucket, Key="k")
    end_role(c, role)
    with refused("InvalidAccessKeyId", 403):
        s3.get_object(Bucket=c.bucket, Key="k")
    end(c, user)


@CASES.add
def a_federated_user_has_what_its_policy_says(c):
    c.s3.put_object(Bucket=c.bucket, Key="k", Body=b"x")
    made = service(c, "sts").get_federation_token(Name="bob", Policy=allow("s3:GetObject"), DurationSeconds=900,
                                                  Tags=[{"Key": "team", "Value": "blue"}])
    account, name = made["FederatedUser"]["FederatedUserId"].split(":")
    expect([made["FederatedUser"]["Arn"], name], [f"arn:aws:sts::{account}:federated-user/bob", "bob"])
    assert 0 < made["PackedPolicySize"] < 100, made
    s3 = in_session(c, made["Credentials"])
    expect(s3.get_object(Bucket=c.bucket, Key="k")["Body"].read(), b"x")
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=c.bucket, Key="k", Body=b"y")


@CASES.add
def the_account_shuts_its_buckets(c):
    account = service(c, "sts").get_caller_identity()["Account"]
    # Clients put the account in front of the host.
    scheme, port = c.target.endpoint.split(":")[0], c.target.endpoint.rsplit(":", 1)[1]
    control = service(c, "s3control", endpoint_url=f"{scheme}://{DOMAIN}:{port}")
    shut = {"BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": False}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{c.bucket}/*"}]})
    with resolving_to_loopback():
        with refused("NoSuchPublicAccessBlockConfiguration", 404):
            control.get_public_access_block(AccountId=account)
        control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=shut)
        expect(control.get_public_access_block(AccountId=account)["PublicAccessBlockConfiguration"], shut)
        try:
            with refused("AccessDenied", 403):
                c.s3.put_bucket_policy(Bucket=c.bucket, Policy=policy)
        finally:
            control.delete_public_access_block(AccountId=account)
    c.s3.put_bucket_policy(Bucket=c.bucket, Policy=policy)


@CASES.add
def a_profile_assumes_its_role_by_itself(c):
    user, _, key = new_user(c)
    arn, role = new_role(c, user, "s3:PutObject", "s3:GetObject")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config")
        config.write_text(f"[profile user]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
                          f"[profile worker]\nrole_arn = {arn}\nsource_profile = user\nregion = {c.target.region}\n")
        told = {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": c.target.endpoint}
        told |= {"AWS_CA_BUNDLE": str(c.target.ca)} if c.target.ca else {}
        with mock.patch.dict(os.environ, told):
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                os.environ.pop(name, None)
            session = boto3.Session(profile_name="worker")
            s3 = session.client("s3", config=Config(signature_version="s3v4"))
            s3.put_object(Bucket=c.bucket, Key="k", Body=b"by a role")
            url = sign(c, "get_object", s3, Key="k")
            assert "X-Amz-Security-Token" in url, url
            expect(fetch(c, url), (200, b"by a role"))
            expect(s3.get_object(Bucket=c.bucket, Key="k")["Body"].read(), b"by a role")
            assert f":assumed-role/{role}/" in session.client("sts").get_caller_identity()["Arn"]
    end_role(c, role)
    end(c, user)

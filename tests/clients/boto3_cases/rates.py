"""Limits of rates: what is refused is tried again by the SDK, and succeeds."""

import time

import botocore.exceptions

from boto3_cases.context import Cases
from boto3_cases.identities import allow, end, new_user, service
from report import expect

CASES = Cases()

REQUESTS = 20


def refusal(act):
    """The code of the error that comes sooner or later, and its HTTP headers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            act()
        except botocore.exceptions.ClientError as error:
            answer = error.response
            return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["ResponseMetadata"]["HTTPHeaders"]
    raise AssertionError("nothing is refused")


@CASES.add
def retries_of_what_is_over_a_rate_succeed(c):
    name, once, key = new_user(c)
    other, unlimited, _ = new_user(c)
    for user in (name, other):
        service(c, "iam").put_user_policy(UserName=user, PolicyName="all", PolicyDocument=allow("s3:*"))
    c.target.admin("limit", "set", "--user", name, "--requests", "4", "--burst", "1")
    code, status, headers = refusal(lambda: once.put_object(Bucket=c.bucket, Key="k", Body=b"x"))
    expect([code, status, headers["retry-after"]], ["SlowDown", 503, "1"])
    for mode in ("legacy", "standard", "adaptive"):
        s3 = c.client(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"], retries={"mode": mode, "total_max_attempts": 12})
        began, retries = time.monotonic(), 0
        for number in range(REQUESTS):
            answer = s3.put_object(Bucket=c.bucket, Key=f"{mode}/{number}", Body=b"x")
            retries += answer["ResponseMetadata"]["RetryAttempts"]
        elapsed = time.monotonic() - began
        # A burst of four, and four a second.
        expect(elapsed > (REQUESTS - 4) / 4 - 0.5, True, f"whether it takes longer than {elapsed:.1f} s by {mode} retries")
        expect(mode == "adaptive" or retries > 0, True, f"whether there were retries by {mode}")
        expect(s3.list_objects_v2(Bucket=c.bucket, Prefix=f"{mode}/")["KeyCount"], REQUESTS)
    for number in range(REQUESTS):
        unlimited.put_object(Bucket=c.bucket, Key=f"unlimited/{number}", Body=b"x")
    for user in (name, other):
        end(c, user)

"""Conditional reads, writes and deletes."""

import concurrent.futures
import datetime

import botocore.exceptions

from boto3_cases.context import Cases, etag, refused, status_of
from report import expect

CASES = Cases()
WRONG = '"00000000000000000000000000000000"'
HOUR = datetime.timedelta(hours=1)


@CASES.add
def a_read_with_a_matching_condition_succeeds(c):
    key = c.put(body=b"abc")
    modified = c.head(key)["LastModified"]
    for condition in ({"IfMatch": etag(b"abc")}, {"IfNoneMatch": WRONG}, {"IfModifiedSince": modified - HOUR},
                      {"IfUnmodifiedSince": modified}, {"IfMatch": "*"}):
        expect(c.get(key, **condition), b"abc", str(condition))
        c.head(key, **condition)


@CASES.add
def a_read_that_would_repeat_what_is_known_is_304_with_the_etag(c):
    key = c.put(body=b"abc")
    modified = c.head(key)["LastModified"]
    for condition in ({"IfNoneMatch": etag(b"abc")}, {"IfNoneMatch": "*"}, {"IfModifiedSince": modified}):
        for operation in (c.s3.get_object, c.s3.head_object):
            with refused("304", 304) as answer:
                operation(Bucket=c.bucket, Key=key, **condition)
            expect(answer[0]["ResponseMetadata"]["HTTPHeaders"].get("etag"), etag(b"abc"), f"ETag with {condition}")


@CASES.add
def a_read_of_something_else_is_412(c):
    key = c.put(body=b"abc")
    modified = c.head(key)["LastModified"]
    for condition in ({"IfMatch": WRONG}, {"IfUnmodifiedSince": modified - HOUR}):
        with refused("PreconditionFailed", 412):
            c.get(key, **condition)
        with refused("412", 412):
            c.head(key, **condition)


@CASES.add
def entity_tags_win_over_dates(c):
    key = c.put(body=b"abc")
    modified = c.head(key)["LastModified"]
    expect(c.get(key, IfMatch=etag(b"abc"), IfUnmodifiedSince=modified - HOUR), b"abc")
    with refused("304", 304):
        c.get(key, IfNoneMatch=etag(b"abc"), IfModifiedSince=modified - HOUR)


@CASES.add
def put_if_absent_succeeds_once(c):
    key = c.key()
    c.put(key, b"first", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        c.put(key, b"second", IfNoneMatch="*")
    c.expect_object(key, b"first")
    c.s3.delete_object(Bucket=c.bucket, Key=key)
    c.put(key, b"third", IfNoneMatch="*")
    c.expect_object(key, b"third")


@CASES.add
def of_many_racers_through_every_gateway_one_creates_the_key(c):
    clients = [c.client(endpoint=endpoint) for endpoint in c.target.endpoints]

    def create(key, number):
        try:
            clients[number % len(clients)].put_object(Bucket=c.bucket, Key=key, Body=b"racer %d" % number, IfNoneMatch="*")
        except botocore.exceptions.ClientError as error:
            # A racer that is still writing is 409, one that has written 412.
            assert status_of(error) in (409, 412), error
            return None
        return number

    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        for _ in range(10):
            key = c.key("raced")
            winners = [number for number in threads.map(create, [key] * 16, range(16)) if number is not None]
            assert len(winners) == 1, f"{len(winners)} racers were told that they had created the key"
            c.expect_object(key, b"racer %d" % winners[0])


@CASES.add
def put_if_unchanged_replaces_only_what_was_seen(c):
    key = c.put(body=b"one")
    with refused("PreconditionFailed", 412):
        c.put(key, b"two", IfMatch=WRONG)
    c.expect_object(key, b"one")
    c.put(key, b"two", IfMatch=etag(b"one"))
    c.expect_object(key, b"two")
    with refused("NoSuchKey", 404):
        c.put(c.key(), b"x", IfMatch=etag(b"one"))


@CASES.add
def a_delete_marker_counts_as_absent(c):
    bucket = c.another_bucket(versioned=True)
    key = c.put(Bucket=bucket)
    c.s3.delete_object(Bucket=bucket, Key=key)
    c.put(key, b"again", Bucket=bucket, IfNoneMatch="*")
    c.expect_object(key, b"again", Bucket=bucket)


@CASES.add
def of_sixteen_racers_for_an_absent_key_one_wins(c):
    clients = [c.client(endpoint=endpoint) for endpoint in c.target.endpoints]
    for _ in range(5):
        key = c.key("race")

        def put(number, key=key):
            try:
                clients[number % len(clients)].put_object(Bucket=c.bucket, Key=key, Body=b"%d" % number, IfNoneMatch="*")
            except botocore.exceptions.ClientError as error:
                assert status_of(error) in (409, 412), error
                return None
            return b"%d" % number

        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            won = [body for body in threads.map(put, range(16)) if body is not None]
        expect(len(won), 1, "winners")
        c.expect_object(key, won[0])


@CASES.add
def compare_and_swap_counts_right(c):
    key = c.put(body=b"0")

    def add_one(_):
        for _ in range(400):
            seen = c.s3.get_object(Bucket=c.bucket, Key=key)
            value = int(seen["Body"].read())
            try:
                c.s3.put_object(Bucket=c.bucket, Key=key, Body=b"%d" % (value + 1), IfMatch=seen["ETag"])
                return
            except botocore.exceptions.ClientError as error:
                assert status_of(error) in (409, 412), error
        raise AssertionError("never won")

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(add_one, range(24)))
    c.expect_object(key, b"24")


@CASES.add
def delete_if_unchanged(c):
    key = c.put(body=b"abc")
    with refused("PreconditionFailed", 412):
        c.s3.delete_object(Bucket=c.bucket, Key=key, IfMatch=WRONG)
    c.expect_object(key, b"abc")
    c.s3.delete_object(Bucket=c.bucket, Key=key, IfMatch=etag(b"abc"))
    assert not c.exists(key)

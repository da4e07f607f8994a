"""Listings against a model that is small enough to check by eye."""

import concurrent.futures
import itertools

from boto3_cases.context import Cases, refused
from report import expect

CASES = Cases()

KEYS = ["a", "a/", "a//b", "a/b", "a/b/c", "a/b/d/e", "a/c", "ab", "b", "b-1", "b-2/x", "b/1", "b/2", "c//", "c//x", "d|e|f", "d|g",
        "dir/", "dir/file", "photos/2024/01/a.jpg", "photos/2024/01/b.jpg", "photos/2024/02/a.jpg", "photos/2025/x", "photos2", "z/z/z/z",
        "z/z/z/zz", "ä/ö", "ä/ü", "日本/東京", "🦀/crab", "🦀crab"]


def model(prefix, delimiter, after):
    """What a listing must return: keys and common prefixes together in byte order, as ("key" or "prefix", text)."""
    found = []
    for key in sorted(KEYS, key=str.encode):
        if not key.startswith(prefix):
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = ("key", key) if end < 0 else ("prefix", key[:end + len(delimiter)])
        if entry in found or key.encode() <= after.encode():
            continue
        found.append(entry)
    return found


def entries(page):
    """A page's keys and common prefixes together in byte order."""
    found = [("key", each["Key"]) for each in page.get("Contents", [])]
    found += [("prefix", each["Prefix"]) for each in page.get("CommonPrefixes", [])]
    return sorted(found, key=lambda entry: entry[1].encode())


@CASES.add
def every_combination_agrees_with_the_model(c):
    for key in KEYS:
        c.put(key)
    prefixes = ["", "a", "a/", "a/b", "b", "photos/", "photos/2024/", "z/", "ä/", "🦀", "none"]
    for prefix, delimiter, size in itertools.product(prefixes, ["", "/", "|", "/z", "o"], [1, 2, 5, 1000]):
        wanted = model(prefix, delimiter, "")
        what = f"prefix {prefix!r}, delimiter {delimiter!r}, pages of {size}"
        arguments = {"Bucket": c.bucket, "Prefix": prefix, "MaxKeys": size} | ({"Delimiter": delimiter} if delimiter else {})
        expect(pages_of_v2(c, arguments, size, len(wanted)), wanted, f"V2 with {what}")
        if size != 1000:
            expect(pages_of_v1(c, arguments, size, len(wanted)), wanted, f"V1 with {what}")


def pages_of_v2(c, arguments, size, total):
    """All entries by continuation token; each page is checked for what must hold of it."""
    found, token = [], {}
    for _ in range(total + 2):
        page = c.s3.list_objects_v2(**arguments, **token)
        here = entries(page)
        expect(page["KeyCount"], len(here), "KeyCount")
        assert len(here) <= size, "more than MaxKeys"
        found += here
        if not page["IsTruncated"]:
            assert "NextContinuationToken" not in page
            return found
        assert here, "a truncated page with nothing in it"
        token = {"ContinuationToken": page["NextContinuationToken"]}
    raise AssertionError(f"does not end: {found}")


def pages_of_v1(c, arguments, size, total):
    """All entries by marker; NextMarker is there with a delimiter only."""
    found, marker = [], {}
    for _ in range(total + 2):
        page = c.s3.list_objects(**arguments, **marker)
        here = entries(page)
        assert len(here) <= size, "more than MaxKeys"
        found += here
        if not page["IsTruncated"]:
            return found
        assert here, "a truncated page with nothing in it"
        if "Delimiter" in arguments:
            expect(page.get("NextMarker"), here[-1][1], "NextMarker")
        marker = {"Marker": here[-1][1]}
    raise AssertionError(f"does not end: {found}")


@CASES.add
def a_listing_may_start_after_any_key(c):
    for after in ("", "a", "a/", "a/b", "a/b/", "a/bb", "b", "photos/2024/", "photos/2024/01/a.jpg", "zzz", "日", "\U0010ffff"):
        page = c.s3.list_objects_v2(Bucket=c.bucket, StartAfter=after)
        expect(entries(page), model("", "", after), f"after {after!r}")
        page = c.s3.list_objects(Bucket=c.bucket, Marker=after)
        expect(entries(page), model("", "", after), f"V1 after {after!r}")
    expect(entries(c.s3.list_objects_v2(Bucket=c.bucket, Prefix="photos/", StartAfter="a")), model("photos/", "", ""))
    expect(entries(c.s3.list_objects_v2(Bucket=c.bucket, Prefix="photos/", StartAfter="z")), [])


@CASES.add
def max_keys_has_its_limits(c):
    page = c.s3.list_objects_v2(Bucket=c.bucket, MaxKeys=0)
    expect((page["KeyCount"], page["IsTruncated"], entries(page)), (0, False, []))
    expect(c.s3.list_objects_v2(Bucket=c.bucket, MaxKeys=5000)["KeyCount"], len(KEYS))
    with refused("InvalidArgument", 400):
        c.s3.list_objects_v2(Bucket=c.bucket, MaxKeys=-1)


@CASES.add
def an_entry_tells_what_head_tells(c):
    key = c.put(body=b"12345")
    found = c.s3.list_objects_v2(Bucket=c.bucket, Prefix=key)["Contents"][0]
    head = c.head(key)
    expect((found["Size"], found["ETag"], found["LastModified"].replace(microsecond=0), found["StorageClass"]),
           (5, head["ETag"], head["LastModified"], "STANDARD"))
    assert "Owner" not in found
    assert c.s3.list_objects_v2(Bucket=c.bucket, Prefix=key, FetchOwner=True)["Contents"][0]["Owner"]["ID"]
    assert c.s3.list_objects(Bucket=c.bucket, Prefix=key)["Contents"][0]["Owner"]["ID"]
    c.s3.delete_object(Bucket=c.bucket, Key=key)
    expect(entries(c.s3.list_objects_v2(Bucket=c.bucket, Prefix=key)), [])


@CASES.add
def a_page_has_a_thousand_keys(c):
    keys = [f"many/{number:05}" for number in range(2050)]
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda key: c.put(key, b"x"), keys))
    pages = list(c.s3.get_paginator("list_objects_v2").paginate(Bucket=c.bucket, Prefix="many/"))
    expect([page["KeyCount"] for page in pages], [1000, 1000, 50])
    expect([found["Key"] for page in pages for found in page["Contents"]], keys)


@CASES.add
def a_listing_while_keys_come_and_go_neither_repeats_nor_drops_the_others(c):
    # Through every gateway in turn, also from one page to the next.
    clients = [c.client(endpoint=endpoint) for endpoint in c.target.endpoints]
    steady = [f"steady/{number:04}-m" for number in range(150)]
    for key in steady:
        c.put(key, b"x")

    def churn(number):
        key = f"steady/{number % 150:04}-{'a' if number % 2 else 'z'}"
        client = clients[number // 2 % len(clients)]
        client.put_object(Bucket=c.bucket, Key=key, Body=b"x")
        client.delete_object(Bucket=c.bucket, Key=key)

    def pages():
        token = {}
        for client in itertools.cycle(clients):
            page = client.list_objects_v2(Bucket=c.bucket, Prefix="steady/", MaxKeys=20, **token)
            yield page
            if not page["IsTruncated"]:
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        work = [threads.submit(churn, number) for number in range(150)]
        while not all(done.done() for done in work):
            listed = [found["Key"] for page in pages() for found in page.get("Contents", [])]
            expect([key for key in listed if key.endswith("-m")], steady, "the keys that stay")
            expect(len(listed), len(set(listed)), "keys listed twice")
        for done in work:
            done.result()


@CASES.add
def buckets_are_listed_in_pages(c):
    start = c.session.bucket_name("pages")
    names = [f"{start}-{number}" for number in range(3)]
    for name in names:
        c.s3.create_bucket(Bucket=name)
    everything = c.s3.list_buckets()
    assert set(names) <= {found["Name"] for found in everything["Buckets"]} and everything["Owner"]["ID"]
    pages = list(c.s3.get_paginator("list_buckets").paginate(Prefix=start, PaginationConfig={"PageSize": 2}))
    expect([[found["Name"] for found in page["Buckets"]] for page in pages], [names[:2], names[2:]])
    for name in names:
        c.s3.delete_bucket(Bucket=name)

"""aws-cli, the newest from PyPI: what the README shows, at full size."""

import json
import time

from files import hash_file, hash_tree, make_tree, write_random
from report import expect
from sessions import VENV

AWS = VENV / "aws"


def run(session, program=AWS):
    """All of it in one bucket, from `mb` to `rb`."""
    bucket = session.bucket_name("awscli")
    url = f"s3://{bucket}"

    def aws(*words, **more):
        return session.run(program, *words, **more)

    with session.case("mb makes a bucket, and ls shows it"):
        aws("s3", "mb", url)
        assert bucket in aws("s3", "ls")

    large = session.path("large")
    size = session.options.large
    wanted = write_random(large, size)
    with session.case(f"cp of {size / 2**20:.0f} MiB up"):
        aws("s3", "cp", "--no-progress", large, f"{url}/large.bin", seconds=1800)
    with session.case("cp of it down: the hashes are equal"):
        aws("s3", "cp", "--no-progress", f"{url}/large.bin", session.path("large.down"), seconds=1800)
        expect(hash_file(session.path("large.down")), wanted, "SHA-256")
    with session.case("ls shows its size"):
        line = aws("s3", "ls", f"{url}/large.bin").split()
        expect(line[2:], [str(size), "large.bin"])
    for path in (large, session.path("large.down")):
        path.unlink(missing_ok=True)

    trees(session, aws, url)

    with session.case("cp to and from a pipe"):
        body = session.path("piped")
        wanted = write_random(body, 9 * 2**20)
        script = '"$1" s3 cp --no-progress - "$3" <"$2" && "$1" s3 cp --no-progress "$3" - | sha256sum'
        printed = session.run("/bin/bash", "-c", script, "bash", program, body, f"{url}/piped")
        expect(printed.split()[0], wanted, "SHA-256")

    with session.case("mv moves"):
        aws("s3", "mv", f"{url}/piped", f"{url}/moved")
        keys = aws("s3", "ls", f"{url}/")
        assert "moved" in keys and "piped" not in keys, keys

    with session.case("presign: curl opens it"):
        # PyPI's aws-cli signs URLs for us-east-1 with version 2 unless it is told otherwise; version 2 of aws-cli does not.
        signed = aws("s3", "presign", f"{url}/moved", "--expires-in", "60", **signature_4(session)).strip()
        session.curl(signed)
        expect(hash_file(session.path("curl.body")), wanted, "SHA-256")

    with session.case("s3api put-object and get-object with each checksum"):
        small = session.path("small")
        wanted = write_random(small, 100_000)
        for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
            key = f"checksums/{algorithm}"
            aws("s3api", "put-object", "--bucket", bucket, "--key", key, "--body", small, "--checksum-algorithm", algorithm)
            aws("s3api", "get-object", "--bucket", bucket, "--key", key, "--checksum-mode", "ENABLED", session.path("small.down"))
            expect(hash_file(session.path("small.down")), wanted, f"SHA-256 after {algorithm}")

    policy(session, aws, url, bucket)
    if session.target.ours:
        identities(session, aws, url, bucket)
        classes(session, aws, url, bucket)
        website(session, aws, url, bucket)

    with session.case("rb refuses a bucket that is not empty"):
        assert "BucketNotEmpty" in aws("s3", "rb", url, code=None)
    with session.case("rm --recursive empties it"):
        aws("s3", "rm", "--recursive", "--only-show-errors", url, seconds=600)
        expect(aws("s3", "ls", "--recursive", url, code=None).strip(), "", "listing")
    with session.case("rb removes it"):
        aws("s3", "rb", url)
        assert bucket not in aws("s3", "ls")


def trees(session, aws, url):
    """A tree of small files there and back, and the differences after a change."""
    count = session.options.files
    tree, back = session.path("tree"), session.path("back")
    make_tree(tree, count)
    with session.case(f"sync of {count} files up"):
        aws("s3", "sync", "--only-show-errors", tree, f"{url}/tree", seconds=1200)
    with session.case("sync of them down: names and hashes are equal"):
        aws("s3", "sync", "--only-show-errors", f"{url}/tree", back, seconds=1200)
        expect(hash_tree(back), hash_tree(tree), "tree")
    with session.case("sync again transfers nothing"):
        expect(aws("s3", "sync", tree, f"{url}/tree", seconds=300).strip(), "", "transfers")
    with session.case("sync --delete carries over one change and one removal"):
        changed, removed = sorted(path for path in tree.rglob("*.rs"))[:2]
        changed.write_bytes(b"changed")
        removed.unlink()
        aws("s3", "sync", "--delete", "--only-show-errors", tree, f"{url}/tree", seconds=300)
        aws("s3", "sync", "--delete", "--exact-timestamps", "--only-show-errors", f"{url}/tree", back, seconds=300)
        expect(hash_tree(back), hash_tree(tree), "tree")
    with session.case("ls --recursive --summarize counts them"):
        summary = aws("s3", "ls", "--recursive", "--summarize", f"{url}/tree/")
        assert f"Total Objects: {count - 1}" in summary, summary[-200:]


def policy(session, aws, url, bucket):
    """A policy that opens a prefix, and what curl gets then without credentials."""
    def curl(key):
        return session.run("/usr/bin/curl", "--silent", "--show-error", "--max-time", "60", "--output", "/dev/null",
                           "--write-out", "%{http_code}", f"{session.target.endpoint}/{bucket}/{key}").strip()

    document = session.path("policy.json")
    document.write_text('{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", '
                        f'"Resource": "arn:aws:s3:::{bucket}/open/*"}}}}')
    page = session.path("page")
    page.write_text("for all")
    with session.case("put-bucket-policy opens a prefix to curl, and delete-bucket-policy closes it"):
        for key in ("open/page", "closed/page"):
            aws("s3", "cp", "--only-show-errors", page, f"{url}/{key}")
        expect(curl("open/page"), "403")
        aws("s3api", "put-bucket-policy", "--bucket", bucket, "--policy", f"file://{document}")
        expect([curl(key) for key in ("open/page", "closed/page", "open/missing")], ["200", "403", "403"])
        status = aws("s3api", "get-bucket-policy-status", "--bucket", bucket, "--query", "PolicyStatus.IsPublic", "--output", "text")
        expect(status.strip(), "True")
        aws("s3api", "delete-bucket-policy", "--bucket", bucket)
        expect(curl("open/page"), "403")


def identities(session, aws, url, bucket):
    """A user by `aws iam`, what its key can do, and through which servers."""
    user, group, policy_name = f"user-{bucket}", f"group-{bucket}", f"policy-{bucket}"
    document = session.path("own.json")
    document.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/${{aws:username}}/*"}]}))
    small = session.path("own")
    wanted = write_random(small, 10_000)
    key = {}

    def iam(*words, **more):
        printed = aws("iam", *words, "--output", "json", **more)
        return json.loads(printed) if printed.strip().startswith("{") else printed

    def by_user(*words, endpoint=None, **more):
        return aws(*words, AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"],
                   AWS_ENDPOINT_URL=endpoint or session.target.endpoint, **more)

    with session.case("aws iam makes a user, a group and a key, and aws sts tells who signs"):
        iam("create-user", "--user-name", user, "--path", "/clients/")
        iam("create-group", "--group-name", group)
        iam("add-user-to-group", "--group-name", group, "--user-name", user)
        key.update(iam("create-access-key", "--user-name", user)["AccessKey"])
        who = json.loads(by_user("sts", "get-caller-identity", "--output", "json"))
        assert who["Arn"].endswith(f":user/clients/{user}"), who
        names = [entry["UserName"] for entry in iam("list-users", "--page-size", "1")["Users"]]
        assert user in names, names
    with session.case("a user without policies may nothing"):
        assert "AccessDenied" in by_user("s3", "ls", url, code=None)
        assert "AccessDenied" in by_user("iam", "list-users", code=None)
    with session.case("policies of the user and the group let it do what they name, through every server"):
        iam("put-group-policy", "--group-name", group, "--policy-name", "own", "--policy-document", f"file://{document}")
        expect(iam("get-group-policy", "--group-name", group, "--policy-name", "own")["PolicyDocument"], json.loads(document.read_text()))
        for endpoint in session.target.endpoints:
            by_user("s3", "cp", "--only-show-errors", small, f"{url}/{user}/own", endpoint=endpoint)
            assert "AccessDenied" in by_user("s3", "cp", small, f"{url}/other/own", endpoint=endpoint, code=None)
        by_user("s3", "cp", "--only-show-errors", f"{url}/{user}/own", session.path("own.down"))
        expect(hash_file(session.path("own.down")), wanted, "SHA-256")
        iam("attach-user-policy", "--user-name", user, "--policy-arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
        assert bucket in by_user("s3", "ls")
    with session.case("aws sts assume-role lets its user do what the role may, through every server, until the role is gone"):
        role, trust = f"role-{bucket}", session.path("trust.json")
        trust.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": who["Arn"]}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}]}))
        of_role = session.path("role.json")
        of_role.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": [
                f"arn:aws:s3:::{bucket}/role/*", f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/team}}/${{aws:SourceIdentity}}/*"]}]}))
        arn = iam("create-role", "--role-name", role, "--assume-role-policy-document", f"file://{trust}")["Role"]["Arn"]
        iam("put-role-policy", "--role-name", role, "--policy-name", "own", "--policy-document", f"file://{of_role}")
        told = json.loads(by_user("sts", "assume-role", "--role-arn", arn, "--role-session-name", "cli", "--output", "json"))
        held = told["Credentials"]

        def in_role(*words, endpoint=None, **more):
            return aws(*words, AWS_ACCESS_KEY_ID=held["AccessKeyId"], AWS_SECRET_ACCESS_KEY=held["SecretAccessKey"],
                       AWS_SESSION_TOKEN=held["SessionToken"], AWS_ENDPOINT_URL=endpoint or session.target.endpoint, **more)

        assert in_role("sts", "get-caller-identity", "--query", "Arn", "--output", "text").strip().endswith(f":assumed-role/{role}/cli")
        for endpoint in session.target.endpoints:
            in_role("s3", "cp", "--only-show-errors", small, f"{url}/role/own", endpoint=endpoint)
            assert "AccessDenied" in in_role("s3", "cp", small, f"{url}/other/own", endpoint=endpoint, code=None)
        in_role("s3", "cp", "--only-show-errors", f"{url}/role/own", session.path("role.down"))
        expect(hash_file(session.path("role.down")), wanted, "SHA-256")
        told = json.loads(by_user("sts", "assume-role", "--role-arn", arn, "--role-session-name", "tagged", "--tags", "Key=team,Value=red",
                                  "--transitive-tag-keys", "team", "--source-identity", user, "--output", "json"))
        expect(told["SourceIdentity"], user)
        held = told["Credentials"]
        for endpoint in session.target.endpoints:
            in_role("s3", "cp", "--only-show-errors", small, f"{url}/red/{user}/own", endpoint=endpoint)
            assert "AccessDenied" in in_role("s3", "cp", small, f"{url}/blue/{user}/own", endpoint=endpoint, code=None)
        assert "InvalidParameterValue" in by_user("sts", "assume-role", "--role-arn", arn, "--role-session-name", "bad", "--tags",
                                                  "Key=aws:team,Value=red", code=None)
        iam("delete-role-policy", "--role-name", role, "--policy-name", "own")
        for endpoint in session.target.endpoints:
            assert "AccessDenied" in in_role("s3", "cp", small, f"{url}/role/own", endpoint=endpoint, code=None)
        iam("delete-role", "--role-name", role)
        for endpoint in session.target.endpoints:
            assert "InvalidAccessKeyId" in in_role("s3", "cp", small, f"{url}/role/own", endpoint=endpoint, code=None)
    with session.case("a policy's versions are made and set in force"):
        made = iam("create-policy", "--policy-name", policy_name, "--policy-document", f"file://{document}", "--tags", "Key=team,Value=red")
        arn = made["Policy"]["Arn"]
        iam("tag-policy", "--policy-arn", arn, "--tags", "Key=stage,Value=test")
        iam("untag-policy", "--policy-arn", arn, "--tag-keys", "team")
        expect(iam("list-policy-tags", "--policy-arn", arn)["Tags"], [{"Key": "stage", "Value": "test"}])
        expect(iam("get-policy", "--policy-arn", arn)["Policy"]["Tags"], [{"Key": "stage", "Value": "test"}])
        iam("create-policy-version", "--policy-arn", arn, "--policy-document", f"file://{document}", "--set-as-default")
        versions = iam("list-policy-versions", "--policy-arn", arn)["Versions"]
        expect([version["VersionId"] for version in versions if version["IsDefaultVersion"]], ["v2"])
        iam("delete-policy-version", "--policy-arn", arn, "--version-id", "v1")
        iam("delete-policy", "--policy-arn", arn)
    with session.case("a key that is taken away is refused by every server's next answer"):
        iam("update-access-key", "--user-name", user, "--access-key-id", key["AccessKeyId"], "--status", "Inactive")
        for endpoint in session.target.endpoints:
            assert "InvalidAccessKeyId" in by_user("s3", "ls", endpoint=endpoint, code=None)
        iam("update-access-key", "--user-name", user, "--access-key-id", key["AccessKeyId"], "--status", "Active")
        for endpoint in session.target.endpoints:
            by_user("s3", "ls", endpoint=endpoint)
        iam("delete-access-key", "--user-name", user, "--access-key-id", key["AccessKeyId"])
        for endpoint in session.target.endpoints:
            assert "InvalidAccessKeyId" in by_user("s3", "ls", endpoint=endpoint, code=None)
            assert "InvalidClientTokenId" in by_user("sts", "get-caller-identity", endpoint=endpoint, code=None)
    with session.case("a user goes when it has nothing any more"):
        assert "DeleteConflict" in iam("delete-user", "--user-name", user, code=None)
        iam("detach-user-policy", "--user-name", user, "--policy-arn", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
        iam("remove-user-from-group", "--group-name", group, "--user-name", user)
        iam("delete-user", "--user-name", user)
        iam("delete-group-policy", "--group-name", group, "--policy-name", "own")
        iam("delete-group", "--group-name", group)


def classes(session, aws, url, bucket):
    """A storage class of the operator's own, and a rule that moves objects to it."""
    rule = {"ID": "cold", "Status": "Enabled", "Filter": {"Prefix": "no-such-prefix/"},
            "Transitions": [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 365, "StorageClass": "COLDEST"}]}

    def put(code):
        return aws("s3api", "put-bucket-lifecycle-configuration", "--bucket", bucket, "--lifecycle-configuration", json.dumps({"Rules": [rule]}),
                   code=code)

    with session.case("put-bucket-lifecycle-configuration refuses a class that is not there"):
        assert "InvalidStorageClass" in put(code=None)
    session.target.define_class("STANDARD_IA")
    session.target.define_class("COLDEST")
    with session.case("put-bucket-lifecycle-configuration takes transitions, and get shows them"):
        deadline = time.monotonic() + 30
        while "InvalidStorageClass" in put(code=None):
            assert time.monotonic() < deadline, "the classes are not known"
        printed = json.loads(aws("s3api", "get-bucket-lifecycle-configuration", "--bucket", bucket))
        expect(printed["Rules"], [rule])
        expect(printed["TransitionDefaultMinimumObjectSize"], "all_storage_classes_128K")
        aws("s3api", "delete-bucket-lifecycle", "--bucket", bucket)
    with session.case("cp --storage-class, and cp of it back to STANDARD"):
        body = session.path("classed")
        wanted = write_random(body, 300_000)
        aws("s3", "cp", "--no-progress", "--storage-class", "STANDARD_IA", body, f"{url}/classed")
        listed = json.loads(aws("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", "classed"))
        expect([entry["StorageClass"] for entry in listed["Contents"]], ["STANDARD_IA"])
        aws("s3", "cp", "--no-progress", "--storage-class", "STANDARD", f"{url}/classed", f"{url}/classed")
        head = json.loads(aws("s3api", "head-object", "--bucket", bucket, "--key", "classed"))
        assert "StorageClass" not in head, head
        aws("s3", "cp", "--no-progress", f"{url}/classed", session.path("classed.down"))
        expect(hash_file(session.path("classed.down")), wanted, "SHA-256")


def website(session, aws, url, bucket):
    """A bucket as a website, and what curl gets of it under the bucket's name."""
    def curl(path):
        body = session.path("curl.body")
        status = session.run("/usr/bin/curl", "--silent", "--show-error", "--max-time", "60", "--output", body, "--header", f"Host: {bucket}",
                             "--write-out", "%{http_code} %{content_type}", f"{session.target.websites}{path}")
        return status.strip(), body.read_text()

    pages = session.path("pages")
    (pages / "about").mkdir(parents=True)
    for name in ("index.html", "error.html", "about/index.html"):
        (pages / name).write_text(f"<h1>{name}</h1>")
    with session.case("website publishes pages: curl gets index, folder and error document"):
        aws("s3", "sync", "--only-show-errors", pages, url)
        assert "404" in curl("/")[0] and "NoSuchWebsiteConfiguration" in curl("/")[1], curl("/")
        aws("s3", "website", url, "--index-document", "index.html", "--error-document", "error.html")
        assert "403" in curl("/")[0] and "AccessDenied" in curl("/")[1], curl("/")
        statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        aws("s3api", "put-bucket-policy", "--bucket", bucket, "--policy", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        expect(curl("/"), ("200 text/html", "<h1>index.html</h1>"))
        expect(curl("/about/"), ("200 text/html", "<h1>about/index.html</h1>"))
        expect(curl("/missing"), ("404 text/html", "<h1>error.html</h1>"))
    with session.case("put-public-access-block closes the website"):
        aws("s3api", "put-public-access-block", "--bucket", bucket, "--public-access-block-configuration", "RestrictPublicBuckets=true")
        status, page = curl("/")
        assert status.startswith("403 ") and "AccessDenied" in page, (status, page)


def signature_4(session):
    """Variables that make aws-cli sign URLs with version 4."""
    config = session.path("aws-config")
    config.write_text("[default]\ns3 =\n    signature_version = s3v4\n")
    return {"AWS_CONFIG_FILE": str(config)}

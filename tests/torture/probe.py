"""Clients that ask one small thing after the other and note each answer with its time: which errors an outage makes, and how long it lasts.
Each has a key of its own, so that it also knows what it must read."""

import collections
import dataclasses
import datetime
import hashlib
import hmac
import http.client
import re
import threading
import time
import urllib.parse

#: A client's patience: no request may hang longer.
TIMEOUT_SECONDS = 10
PAUSE_SECONDS = 0.02
BUCKET = "probes"


def signed(target, method, host, path, more):
    """Headers of a request, signed by AWS Signature Version 4. Source: AWS, "Signature Version 4 signing process"."""
    path, _, query = path.partition("?")
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = dict(sorted(({"host": host, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": now} | more).items()))
    # A parameter without a value is signed with an empty one.
    query = f"{query}=" if query and "=" not in query else query
    names = ";".join(headers)
    canonical = "\n".join([method, path, query, *(f"{name}:{value}" for name, value in headers.items()), "", names, "UNSIGNED-PAYLOAD"])
    scope = f"{now[:8]}/{target.region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{target.secret_key}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return headers | {"authorization": f"AWS4-HMAC-SHA256 Credential={target.access_key}/{scope},SignedHeaders={names},Signature={signature}"}


@dataclasses.dataclass
class Answer:
    """What became of a request; times are of the monotonic clock."""

    begun: float
    ended: float
    what: str
    #: Nothing when there was no answer.
    status: int | None
    #: S3's code, or why there was no answer.
    code: str
    retry_after: str | None
    #: A read that answered something else than was written.
    wrong: str | None = None

    @property
    def good(self):
        """Whether the request did what it should."""
        return self.status is not None and self.status < 300 and self.wrong is None

    @property
    def fair(self):
        """Whether it did, or told in time that it could not now, and when to come back."""
        return self.seconds <= TIMEOUT_SECONDS and (self.good or self.status == 503 and self.retry_after is not None and self.wrong is None)

    @property
    def seconds(self):
        """How long it took."""
        return self.ended - self.begun

    def __str__(self):
        return f"{self.what}: {self.wrong or self.status} {self.code} after {self.seconds:.1f} s, Retry-After {self.retry_after}"


class Probe(threading.Thread):
    """One client of one gateway, which asks for all kinds of things in turn."""

    def __init__(self, target, number):
        super().__init__(daemon=True)
        self.target = target
        self.host = urllib.parse.urlsplit(target.endpoints[number % len(target.endpoints)]).netloc
        self.key = f"probe{number}"
        self.connection = None
        self.answers = []
        self.ending = threading.Event()
        #: What was acknowledged last.
        self.stored = None
        #: What was written without an acknowledgement: it may come to be at any time.
        self.doubtful = set()

    def run(self):
        count = 0
        while not self.ending.is_set():
            count += 1
            self.put(f"{self.key} {count}".encode())
            self.get()
            self.ask("GET", f"/{BUCKET}")
            self.copy()
            self.upload()
            time.sleep(PAUSE_SECONDS)

    def put(self, body):
        """Writes its object anew."""
        answer, _ = self.ask("PUT", f"/{BUCKET}/{self.key}", body)
        if answer.good:
            self.stored = body
        else:
            self.doubtful.add(body)

    def get(self):
        """Reads it."""
        if self.stored is None:
            return
        answer, body = self.ask("GET", f"/{BUCKET}/{self.key}")
        if answer.good and body != self.stored and body not in self.doubtful:
            answer.wrong = f"read {body}, stored was {self.stored}"

    def copy(self):
        """Copies its object and removes the copy."""
        if self.stored is not None:
            self.ask("PUT", f"/{BUCKET}/copies/{self.key}", headers={"x-amz-copy-source": f"/{BUCKET}/{self.key}"})
            self.ask("HEAD", f"/{BUCKET}/{self.key}")
            self.ask("DELETE", f"/{BUCKET}/copies/{self.key}")

    def upload(self):
        """Begins a multipart upload, uploads a part and aborts it."""
        answer, content = self.ask("POST", f"/{BUCKET}/uploads/{self.key}?uploads")
        if answer.good:
            upload = re.search(rb"<UploadId>([^<]+)</UploadId>", content)[1].decode()
            self.ask("PUT", f"/{BUCKET}/uploads/{self.key}?partNumber=1&uploadId={upload}", bytes(100_000))
            self.ask("DELETE", f"/{BUCKET}/uploads/{self.key}?uploadId={upload}")

    def ask(self, method, path, body=None, headers=None):
        """Sends a request; returns what became of it, and the body."""
        begun = time.monotonic()
        status, code, retry_after, content = None, "", None, b""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_SECONDS)
            self.connection.request(method, path, body, signed(self.target, method, self.host, path, headers or {}))
            response = self.connection.getresponse()
            status, retry_after, content = response.status, response.getheader("Retry-After"), response.read()
            found = re.search(rb"<Code>(\w+)</Code>", content)
            code = found[1].decode() if found and status >= 300 else ""
        except (OSError, http.client.HTTPException) as error:
            code = type(error).__name__
            self.connection.close()
            self.connection = None
        answer = Answer(begun, time.monotonic(), f"{method} {path[:60]} at {self.host}", status, code, retry_after)
        self.answers.append(answer)
        return answer, content


class Probes:
    """Several of them. As a context manager they start, and end."""

    def __init__(self, target, count=4):
        self.target = target
        self.all = [Probe(target, number) for number in range(count)]

    def __enter__(self):
        made, _ = Probe(self.target, 0).ask("PUT", f"/{BUCKET}")
        assert made.good, made
        for probe in self.all:
            probe.start()
        return self

    def __exit__(self, *_):
        for probe in self.all:
            probe.ending.set()
        for probe in self.all:
            probe.join(TIMEOUT_SECONDS + 5)

    def answers(self, since=0.0):
        """What was answered since, by all."""
        return [answer for probe in self.all for answer in list(probe.answers) if answer.ended >= since]

    def wait_until_good(self, since, seconds):
        """Waits until each of them got all three good answers to what it asked after `since`; returns when the last of the requests that
        failed ended, which is when everything was answered again, or `since`."""
        deadline = time.monotonic() + seconds
        while True:
            late = [[answer for answer in list(probe.answers) if answer.begun >= since] for probe in self.all]
            if all(len(answers) >= 3 and all(answer.good for answer in answers[-3:]) for answers in late):
                return max([answer.ended for answer in self.answers(since) if not answer.good], default=since)
            assert time.monotonic() < deadline, f"not answered again after {seconds} s: {[str(answers[-1]) for answers in late if answers]}"
            time.sleep(0.02)

    def failed(self, since=0.0):
        """Requests that did not do what they should."""
        return [answer for answer in self.answers(since) if not answer.good]

    def outages(self, since=0.0):
        """The longest time that a probe was without a good answer."""
        longest = 0.0
        for probe in self.all:
            good = [answer.ended for answer in list(probe.answers) if answer.good and answer.ended >= since]
            longest = max([longest, *(after - before for before, after in zip(good, good[1:]))])
        return longest

    def told(self, since=0.0):
        """How many answers of each kind."""
        counts = collections.Counter(f"{answer.status or 'none'} {answer.code}".strip() for answer in self.answers(since))
        return ", ".join(f"{count} of {kind}" for kind, count in sorted(counts.items()))

    def check(self, since=0.0):
        """Fails when an outage was told in any other way than by a 503 that says when to come back, in time, or when a read was wrong."""
        bad = [str(answer) for answer in self.answers(since) if not answer.fair]
        assert not bad, f"{len(bad)} answers, of {self.told(since)}:\n" + "\n".join(bad[:20])

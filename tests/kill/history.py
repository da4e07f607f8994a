"""What each key may hold, from what was tried and what was acknowledged."""

import dataclasses
import hashlib
import random

ABSENT = None


@dataclasses.dataclass(frozen=True)
class Content:
    """An object's bytes, by length and hash."""

    size: int
    sha256: str


class History:
    """One key's past. Its client alone changes it, one operation at a time."""

    def __init__(self, key):
        self.key = key
        #: What the key may hold now: what was acknowledged last, or what was tried since and not answered.
        self.possible = {ABSENT}
        #: Everything that was ever sent for this key.
        self.attempted = {ABSENT}

    def try_content(self, content):
        """Notes that a write or a delete is being sent: from now on it may have happened."""
        self.possible.add(content)
        self.attempted.add(content)

    def acknowledge(self, content):
        """Notes that it was acknowledged: now only it is possible."""
        self.possible = {content}

    def settle(self, content):
        """Notes what was read: an unanswered write has happened or not, once and for all."""
        if content in self.possible:
            self.possible = {content}

    def judge(self, found):
        """What is wrong with what was found, in one word, or None."""
        if found in self.possible:
            return None
        if found is ABSENT:
            return "lost"
        if self.possible == {ABSENT} and found in self.attempted:
            return "resurrected"
        return "wrong"


def body_of(seed, key, attempt, size):
    """The bytes of one attempt; every attempt has its own."""
    body = random.Random(f"{seed}/{key}/{attempt}").randbytes(size)
    return body, content_of(body)


def content_of(body):
    """An object's content."""
    return Content(len(body), hashlib.sha256(body).hexdigest())

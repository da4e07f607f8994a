"""Programs that print a line for each of their cases: `ok NAME`, or `FAIL NAME: REASON` with the reason as a string of JSON."""

import json
import re


def cases_of(session, printed):
    """Counts each line as a case, and that the program came to its end."""
    cases = re.findall(r"^(ok|FAIL) (.*?)(?:: (\".*\"))?$", printed, re.MULTILINE)
    for outcome, case, reason in cases:
        with session.case(case):
            assert outcome == "ok", json.loads(reason)
    with session.case("the program says that it is done"):
        assert cases and re.search(r"^done$", printed, re.MULTILINE), printed[-2000:]

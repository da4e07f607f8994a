"""Tests the alerts of deploy/monitoring by promtool, and holds alerts and dashboards against docs/metrics.md, and alerts,
runbooks and the commands in them against each other. Commands are tried when target/debug/ashlar is there.

Usage: tests/monitoring/run [--help]
"""

import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile

if "--help" in sys.argv[1:]:
    print(__doc__.strip())
    sys.exit(0)

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import yaml

from report import NotRun, Report, expect

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MONITORING = ROOT / "deploy/monitoring"
RUNBOOKS = ROOT / "docs/runbooks"
PROGRAM = ROOT / "target/debug/ashlar"
# Labels that Prometheus gives itself.
OF_PROMETHEUS = {"instance", "le"}
SECTIONS = ["What it means", "What to look at", "What to do"]


def rules():
    """All alerts."""
    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards():
    """All dashboards by their file's name."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted((MONITORING / "dashboards").glob("*.json"))}


def queries(dashboard):
    """What a dashboard asks, as Prometheus would be asked."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m"), target["legendFormat"]


def documented():
    """The labels of each metric, by the names that queries use."""
    metrics = {}
    for line in (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| `(\w+)` \| (\w+) \| [^|]* \| ([^|]*) \|", line):
            labels = set(re.findall(r"`(\w+)`", row[3]))
            names = [row[1] + ending for ending in ("_bucket", "_sum", "_count")] if row[2] == "histogram" else [row[1]]
            metrics |= dict.fromkeys(names, labels)
    return metrics


def expect_documented(query, metrics):
    """Fails when a query names a metric or a label that is not documented."""
    named = set(re.findall(r"\b((?:ashlar|process)_\w+)", query))
    expect(named - set(metrics), set(), "metrics that there are not")
    expect(bool(named), True, "whether any was found")
    for name, selectors in re.findall(r"\b((?:ashlar|process)_\w+)\{([^}]*)\}", query):
        expect(set(re.findall(r"(\w+)=", selectors)) - metrics[name], set(), f"labels that {name} does not have")
    labels = set().union(*(metrics[name] for name in named)) | OF_PROMETHEUS
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", query):
        expect(set(grouped.split(", ")) - labels, set(), "labels to group by that there are not")


def promtool(*words, folder=MONITORING):
    """What promtool says, and whether it was content."""
    done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def expect_content(*words, folder=MONITORING):
    """Fails with what promtool says."""
    content, said = promtool(*words, folder=folder)
    if not content:
        raise AssertionError(said[-1500:])


def run_alerts(report):
    """The rules themselves, by promtool."""
    report.section("alerts")
    alerts, metrics = rules(), documented()
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text(encoding="utf-8"))
    with report.case("promtool can read the rules"):
        expect_content("check", "rules", "alerts.yml")
    for alert in alerts:
        name = alert["alert"]
        its = [test for test in tests["tests"] if test["alert_rule_test"][0]["alertname"] == name]
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text(encoding="utf-8"), encoding="utf-8")
            test_file = pathlib.Path(folder) / "test.yml"
            with report.case(f"{name} fires when it should, and only then"):
                expect([bool(test["alert_rule_test"][0]["exp_alerts"]) for test in its[:2]], [True, False], "what the first two tests expect")
                test_file.write_text(yaml.safe_dump(tests | {"tests": its}), encoding="utf-8")
                expect_content("test", "rules", "test.yml", folder=folder)
            with report.case(f"{name}: its test would find that it never fires"):
                spoilt = copy.deepcopy(its)
                spoilt[0]["input_series"] = spoilt[1]["input_series"]
                test_file.write_text(yaml.safe_dump(tests | {"tests": spoilt}), encoding="utf-8")
                expect(promtool("test", "rules", "test.yml", folder=folder)[0], False, "whether promtool was content")
        with report.case(f"{name}: metrics and labels are documented"):
            expect_documented(alert["expr"], metrics)


def run_runbooks(report):
    """A page for each alert, and commands that there are."""
    report.section("runbooks")
    alerts = {alert["alert"]: alert for alert in rules()}
    with report.case("each alert has a page, and each page an alert"):
        expect(sorted(file.stem for file in RUNBOOKS.glob("*.md")), sorted(alerts), "pages")
    metrics, commands = documented(), set()
    for name, alert in alerts.items():
        with report.case(f"{name}: the page says what it means, what to look at and what to do"):
            expect(alert["annotations"]["runbook"], f"docs/runbooks/{name}.md", "its name")
            text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
            expect(re.findall(r"^## (.*)$", text, re.M), SECTIONS, "sections")
            expect(f"Severity: {alert['labels']['severity']}." in text, True, "severity")
            for link in re.findall(r"\]\(([^)]+)\)", text):
                expect((RUNBOOKS / link).exists(), True, f"whether {link} is there")
            expect(set(re.findall(r"\bashlar_\w+", text)) - set(metrics) - {base(metric) for metric in metrics}, set(), "metrics that there are not")
            commands |= set(re.findall(r"ashlar (admin(?: [a-z]+\b(?!:))+(?: --[a-z]+)?)", text))
    with report.case("every command in them is one of the program's"):
        if not PROGRAM.exists():
            raise NotRun("target/debug/ashlar is not there")
        for command in sorted(commands):
            words = [word for word in command.split() if not word.startswith("--")]
            done = subprocess.run([PROGRAM, *words, "--help"], capture_output=True, text=True, timeout=20, check=False)
            expect(done.returncode, 0, f"status of {command} --help")
            expect(done.stdout.split("Usage: ")[1].startswith(" ".join(["ashlar", *words])), True, f"whether there is {command}")
            expect([flag for flag in command.split() if flag.startswith("--") and flag not in done.stdout], [], f"flags of {command} that there are not")
        expect(len(commands) > 8, True, "whether commands were found")


def base(metric):
    """The name of a histogram by the name of one of its series."""
    return re.sub("_(bucket|sum|count)$", "", metric)


def run_dashboards(report):
    """What dashboards ask."""
    report.section("dashboards")
    metrics, asked = documented(), ""
    for name, dashboard in dashboards().items():
        with report.case(f"{name}: every query names metrics and labels that are documented"):
            for title, query, legend in queries(dashboard):
                try:
                    expect_documented(query, metrics)
                    labels = set().union(*(metrics[metric] for metric in re.findall(r"\b((?:ashlar|process)_\w+)", query))) | OF_PROMETHEUS
                    expect(set(re.findall(r"{{(\w+)}}", legend)) - labels, set(), "labels in the legend that there are not")
                except AssertionError as error:
                    raise AssertionError(f"{title}: {error}") from error
                asked += query
        with report.case(f"{name}: Prometheus can read every query"):
            recording = [{"record": f"query:number_{number}", "expr": query} for number, (_, query, _) in enumerate(queries(dashboard))]
            with tempfile.TemporaryDirectory() as folder:
                (pathlib.Path(folder) / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": recording}]}), encoding="utf-8")
                expect_content("check", "rules", "rules.yml", folder=folder)
        with report.case(f"{name}: panels have numbers of their own and do not overlap"):
            panels = dashboard["panels"]
            expect(len({panel["id"] for panel in panels}), len(panels), "numbers")
            taken = [(x, y) for panel in panels for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"]) for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])]
            expect(len(set(taken)), len(taken), "places")
            expect(max(x for x, _ in taken) < 24, True, "whether they fit")
            expect(dashboard["uid"], name, "uid")
    with report.case("a metric that there is not is found"):
        try:
            expect_documented("sum(ashlar_no_such_metric_total)", metrics)
        except AssertionError:
            return
        raise AssertionError("it was accepted")


def main():
    """Everything, in a quarter of a minute."""
    report = Report()
    run_alerts(report)
    run_runbooks(report)
    run_dashboards(report)
    sys.exit(report.close("monitoring"))


if __name__ == "__main__":
    main()

"""Tests the alerts of deploy/monitoring by promtool, and holds alerts and dashboards against docs/metrics.md, and alerts,
runbooks and the commands in them against each other. Holds docker-compose.observability.yml against docker-compose.yml by Compose itself, and
has Prometheus run by the settings that it gives, scraping a server that stands for each service, whose OpenMetrics a strict reader takes, too. What needs target/debug/ashlar, Compose or root is
tried when that is there.

Usage: tests/monitoring/run [--help]
"""

import contextlib
import copy
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

if "--help" in sys.argv[1:]:
    print(__doc__.strip())
    sys.exit(0)

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import yaml
from prometheus_client import parser as prometheus_text
from prometheus_client.openmetrics import parser as openmetrics

from processes import Server, free_port
from report import NotRun, Report, expect
from targets import answers

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
    # Prometheus's own, of whether a target answers.
    expect(bool(named) or query.startswith("up{"), True, "whether any was found")
    for name, selectors in re.findall(r"\b((?:ashlar|process)_\w+)\{([^}]*)\}", query):
        expect(set(re.findall(r"(\w+)=", selectors)) - metrics[name], set(), f"labels that {name} does not have")
    labels = set().union(*(metrics[name] for name in named)) | OF_PROMETHEUS
    expect("job" in labels, False, "whether a label has the name of one of Prometheus's, which it would call exported_job")
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
                expect((RUNBOOKS / link.split("#")[0]).exists(), True, f"whether {link} is there")
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


def composed(*files):
    """The services of compose files taken together, by Compose itself."""
    found = [*(ROOT / ".venv/compose").glob("lib/python3*/site-packages/compose/docker-compose"), ROOT / ".docker/cli-plugins/docker-compose"]
    program = next((path for path in found if path.exists()), None)
    if program is None:
        raise NotRun("Compose is not there; tests/compose/install installs it")
    secrets = dict.fromkeys(("ASHLAR_CLUSTER_SECRET", "ASHLAR_ROOT_USER", "ASHLAR_ROOT_PASSWORD", "POSTGRES_PASSWORD", "GRAFANA_PASSWORD"), "x")
    words = [program, "--profile", "*", "--project-directory", ROOT, *(word for file in files for word in ("-f", ROOT / file)), "config", "--format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"} | secrets)
    expect([done.returncode, done.stderr], [0, ""], "what Compose says")
    return json.loads(done.stdout)["services"]


def settings(name):
    """A file of settings of deploy/monitoring."""
    return yaml.safe_load((MONITORING / name).read_text(encoding="utf-8"))


def added():
    """The services of docker-compose.observability.yml as they are written there."""
    return yaml.safe_load((ROOT / "docker-compose.observability.yml").read_text(encoding="utf-8"))["services"]


def found_by():
    """How Prometheus finds whom it asks: names, each of all containers of a service, and the port."""
    return settings("prometheus.yml")["scrape_configs"][0]["dns_sd_configs"][0]


def run_compose(report):
    """What docker-compose.observability.yml adds."""
    report.section("compose")
    with report.case("changes nothing of the cluster but where traces and metrics go"):
        before, after = composed("docker-compose.yml"), composed("docker-compose.yml", "docker-compose.observability.yml")
        # Tools, and those that make keys, are told what to run first, and are no services.
        ours = {name for name, service in before.items() if service["image"] == "ashlar" and not service.get("entrypoint")}
        expect(sorted(ours), ["chunk", "gateway", "metadata", "worker"], "services of ours")
        for name, service in before.items():
            changed = copy.deepcopy(after[name])
            if name in ours:
                expect(changed["environment"].pop("ASHLAR_OTLP_ENDPOINT"), "http://collector:4318", f"where {name} sends traces")
                expect(changed["environment"].pop("ASHLAR_OTLP_METRICS_ENDPOINT"), "http://collector:4318", f"where {name} sends metrics")
                changed["environment"].pop("ASHLAR_TRACE_SAMPLE")
            expect(changed, service, name)
        expect(sorted(set(after) - set(before)), ["collector", "grafana", "jaeger", "prometheus"], "what is added")
        asked = sorted((name, str(found_by()["port"])) for name in found_by()["names"])
        expect(asked, sorted((name, before[name]["environment"]["ASHLAR_HEALTH_LISTEN"].split(":")[1]) for name in ours), "whom Prometheus asks")
        for name in ours:
            expect("control" in after[name]["networks"], True, f"whether Prometheus and the collector reach {name}")
        for name in ("prometheus", "grafana", "jaeger"):
            expect({port["host_ip"] for port in after[name]["ports"]}, {"127.0.0.1"}, f"who reaches {name}")
        mounted = [volume["source"] for name in set(after) - set(before) for volume in after[name].get("volumes", []) if volume["type"] == "bind"]
        expect([path for path in mounted if not pathlib.Path(path).exists()], [], "files that are mounted and are not there")
        expect(len(mounted), 6, "files that are mounted")
    with report.case("TLS between services: each has its own certificate, and nothing else is changed"):
        before, after = composed("docker-compose.yml"), composed("docker-compose.yml", "docker-compose.tls.yml")
        expect(sorted(after), sorted(before), "services")
        for name, service in before.items():
            changed, role = copy.deepcopy(after[name]), name
            if name in ours | {"admin"}:
                files = {setting: f"/certificates/{file}" for setting, file in (("CERT", f"{role}.crt"), ("KEY", f"{role}.key"), ("CA", "ca.crt"))}
                given = {setting: changed["environment"].pop(f"ASHLAR_CLUSTER_TLS_{setting}") for setting in files}
                expect(given, files, f"certificate of {name}")
                mounts = [volume for volume in changed["volumes"] if volume["target"] == "/certificates"]
                expect([volume["read_only"] for volume in mounts], [True], f"mounts of {name}")
                changed["volumes"] = [volume for volume in changed["volumes"] if volume not in mounts]
                if not service.get("volumes"):
                    del changed["volumes"]
                if role != "admin":
                    test = changed["healthcheck"]["test"]
                    expect(test[-1], service["healthcheck"]["test"][-1].replace("http:", "https:"), f"health check of {name}")
                    test[-1] = service["healthcheck"]["test"][-1]
            expect(changed, service, name)
    with report.case("the collector's pipelines name what is configured, and all of it"):
        collector = settings("collector.yml")
        for kind in ("receivers", "processors", "exporters"):
            used = {name for pipeline in collector["service"]["pipelines"].values() for name in pipeline[kind]}
            expect(used, set(collector[kind]), kind)
        expect(collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].split(":")[1], "4318", "the port that services send to")
    with report.case("Grafana is given data sources of the kinds that dashboards ask for, by hosts that there are"):
        kinds = {variable["query"] for dashboard in dashboards().values() for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"}
        sources = settings("grafana/datasources.yml")["datasources"]
        expect(kinds - {source["type"] for source in sources}, set(), "kinds that are missing")
        hosts = {re.match(r"http://(\w+):", source["url"])[1] for source in sources}
        expect(hosts - set(added()), set(), "hosts that there are not")
        links = [link for source in sources for link in source.get("jsonData", {}).get("exemplarTraceIdDestinations", [])]
        expect([link["name"] for link in links], ["trace_id"], "the label of exemplars that leads to traces")
        expect({link["datasourceUid"] for link in links} - {source["uid"] for source in sources}, set(), "where they are looked for and is nothing")
    with report.case("panels of durations whose histograms have exemplars ask for these, and no others"):
        for name, dashboard in dashboards().items():
            for panel in dashboard["panels"]:
                for target in panel.get("targets", []):
                    has = re.search(r"histogram_quantile.*_(request|call|commit|statement)_duration_seconds_bucket", target["expr"]) is not None
                    expect(target.get("exemplar", False), has, f"{name}: {panel['title']}")


def run_prometheus(report):
    """Prometheus by the very settings of the compose file. Names of services lead to one server on an address of loopback, by a name server
    that this process alone has."""
    report.section("prometheus")
    with report.case("promtool takes the settings"):
        expect_content("check", "config", "prometheus.yml")
    with report.case("scrapes every service, evaluates every alert and answers every dashboard"):
        if os.geteuid() != 0 or not shutil.which("unshare"):
            raise NotRun("only root may give a process a name server of its own")
        if not PROGRAM.exists():
            raise NotRun("target/debug/ashlar is not there")
        with tempfile.TemporaryDirectory(prefix="ashlar-prometheus-") as name:
            scrape(pathlib.Path(name))


def ask(port, path):
    """What Prometheus answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)["data"]


class Names(threading.Thread):
    """A name server that answers every question for an address with the same one, and remembers the names."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.asked = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))

    def run(self):
        """Until the socket is closed."""
        with contextlib.suppress(OSError):
            while True:
                question, client = self.socket.recvfrom(1500)
                labels, at = [], 12
                while question[at]:
                    labels.append(question[at + 1:at + 1 + question[at]].decode())
                    at += 1 + question[at]
                end = at + 5
                self.asked.add(".".join(labels))
                is_address = question[at + 1:at + 3] == b"\0\1"
                answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(self.address) if is_address else b""
                head = question[:2] + b"\x81\x80\0\1" + bytes([0, is_address]) + bytes(4)
                self.socket.sendto(head + question[12:end] + answer, client)


def scrape(folder):
    """Starts a server and Prometheus, and looks at what it sees."""
    address, s3, port = "127.0.77.1", free_port(), free_port()
    resolvers = folder / "resolv.conf"
    resolvers.write_text(f"nameserver {address}\n", encoding="utf-8")
    names = Names(address)
    names.start()
    environment = {"PATH": os.environ["PATH"], "ASHLAR_LISTEN": f"127.0.0.1:{s3}"}
    # Every request is recorded; nobody takes what is.
    traced = ["--otlp-endpoint", f"http://127.0.0.1:{free_port()}", "--trace-sample", "1"]
    server = Server("server", [PROGRAM, "server", folder / "data", "--health-listen", f"{address}:9090", *traced], environment, folder / "server.log")
    features = [word for word in added()["prometheus"]["command"] if word.startswith("--enable-feature=")]
    inside = f"mount --bind {resolvers} /etc/resolv.conf && exec prometheus --config.file={MONITORING / 'prometheus.yml'} --web.listen-address=127.0.0.1:{port} --storage.tsdb.path={folder / 'tsdb'} {' '.join(features)}"
    prometheus = Server("prometheus", ["unshare", "--mount", "sh", "-c", inside], {"PATH": os.environ["PATH"]}, folder / "prometheus.log")
    server.start()
    try:
        server.wait_until(lambda: answers(f"http://{address}:9090/health/ready", None))
        prometheus.start()
        prometheus.wait_until(lambda: answers(f"http://127.0.0.1:{port}/-/ready", None))
        deadline = time.monotonic() + 60
        while True:
            active = ask(port, "/api/v1/targets")["activeTargets"]
            groups = ask(port, "/api/v1/rules")["groups"]
            rules_seen = [rule for group in groups for rule in group["rules"]]
            if active and all(one["health"] == "up" for one in active) and all(rule["health"] == "ok" for rule in rules_seen):
                break
            expect(time.monotonic() < deadline, True, f"whether all is well within a minute: {[(one['scrapeUrl'], one['health'], one['lastError']) for one in active][:2]}")
            time.sleep(0.5)
        expect([one["labels"]["instance"] for one in active], [f"{address}:{found_by()['port']}"], "whom it asks")
        expect(sorted(names.asked), sorted(found_by()["names"]), "whom it looks for")
        expect(sorted(rule["name"] for rule in rules_seen), sorted(rule["alert"] for rule in rules()), "alerts")
        expect([rule["name"] for rule in rules_seen if rule["state"] == "firing"], [], "alerts that fire")
        for dashboard in dashboards().values():
            for title, query, _ in queries(dashboard):
                expect(ask(port, f"/api/v1/query?query={urllib.parse.quote(query)}")["resultType"], "vector", title)
        seen = ask(port, "/api/v1/query?query=count(ashlar_build_info)")["result"][0]["value"][1]
        expect(seen, "1", "services that are seen")
        expect_exemplars(port, f"http://127.0.0.1:{s3}/")
        expect_openmetrics(f"http://{address}:9090/metrics")
    finally:
        names.socket.close()
        for one in (prometheus, server):
            if one.process is not None:
                one.stop()


def expect_openmetrics(url):
    """Fails where the strictest reader of OpenMetrics finds fault, or sees something else than a reader of plain text."""
    def told(accept):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, headers={"Accept": accept}), timeout=10) as answer:
            return answer.headers["Content-Type"].split(";")[0], answer.read().decode()
    kind, text = told("application/openmetrics-text;version=1.0.0")
    expect(kind, "application/openmetrics-text", "what it is in")
    families = {family.name: family for family in openmetrics.text_string_to_metric_families(text)}
    expect(len(families) > 50, True, f"whether all is there: {len(families)} metrics")
    named = [sample.exemplar for family in families.values() for sample in family.samples if sample.exemplar]
    expect({tuple(exemplar.labels) for exemplar in named}, {("trace_id", "span_id")}, "labels of exemplars")
    kind, text = told("text/plain")
    expect(kind, "text/plain", "what it is in for others")
    plain = {family.name: family for family in prometheus_text.text_string_to_metric_families(text)}
    expect({name: family.type for name, family in families.items()}, {name: family.type for name, family in plain.items()}, "metrics")
    expect({family.name: family.documentation for family in families.values()}, {family.name: family.documentation for family in plain.values()}, "what they mean")
    units = {name: family.unit for name, family in families.items() if family.unit}
    expect(units["ashlar_s3_request_duration_seconds"], "seconds", "a unit")
    expect(all(name.endswith(f"_{unit}") for name, unit in units.items()), True, f"units: {units}")


def expect_exemplars(port, s3):
    """Fails unless Prometheus has the trace of a request."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(urllib.error.HTTPError):
        opener.open(urllib.request.Request(s3, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}), timeout=10).close()
    query = urllib.parse.urlencode({"query": "ashlar_s3_request_duration_seconds_bucket", "start": time.time() - 600, "end": time.time() + 600})
    deadline = time.monotonic() + 60
    while True:
        found = ask(port, f"/api/v1/query_exemplars?{query}")
        named = [exemplar["labels"]["trace_id"] for series in found for exemplar in series["exemplars"]]
        if trace in named:
            return
        expect(time.monotonic() < deadline, True, f"whether the exemplar is there within a minute: {named}")
        time.sleep(0.5)


def main():
    """Everything, in half a minute."""
    report = Report()
    run_alerts(report)
    run_runbooks(report)
    run_dashboards(report)
    run_compose(report)
    run_prometheus(report)
    sys.exit(report.close("monitoring"))


if __name__ == "__main__":
    main()

"""Lints and renders the Helm chart over the files in tests/helm/values, by Helm 3 and Helm 4, and holds what comes out against
the schemas of several Kubernetes versions, the rules of policy.py, docs/configuration.md and docker-compose.yml. No cluster
is needed, and none is made: whether the pods run is for tests/compose to say, which runs the same image and settings.

Usage: tests/helm/run [--help]
"""

import base64
import copy
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

if "--help" in sys.argv[1:]:
    print(__doc__.strip())
    sys.exit(0)

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))

import kubernetes_validate
import yaml

import policy
import settings
from api import serving
from chart import CHART, HELMS, ROOT, VALUES, Refused, chooses, component, helm, of_kind, pods, render
from report import NotRun, Report, expect

KUBERNETES = ["1.28", "1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]
# What has no schema in Kubernetes itself.
CUSTOM = {"Certificate", "Cluster", "HTTPRoute", "PrometheusRule", "ServiceMonitor"}
TRIAL = ROOT / "tests/helm/values/trial.yaml"

# Asks the cluster what is there, but not for the schemas of its kinds, which run_schemas looks at.
FROM_CLUSTER = ("--dry-run=server", "--disable-openapi-validation")

BUNDLED = {"postgres": {"mode": "bundled"}}


def pool(**values):
    """Values with one pool."""
    return BUNDLED | {"chunk": {"pools": [{"name": "main", "replicas": 6, "storage": {"size": "1Gi"}} | values]}}


# What is refused: why, the values, and what the message has to say.
REFUSED = [
    ("no database", {}, "postgres.external.existingSecret"),
    ("a mode of Postgres that there is not", {"postgres": {"mode": "mysql"}}, "postgres.mode|/postgres/mode"),
    ("a word that is misspelt", BUNDLED | {"gatway": {}}, "gatway"),
    ("a setting that a role does not have", BUNDLED | {"gateway": {"settings": {"ASHLAR_SCRUB_DAYS": 3}}}, "ASHLAR_SCRUB_DAYS"),
    ("a setting that the chart gives", BUNDLED | {"metadata": {"settings": {"ASHLAR_DATABASE_URL": "postgres://x"}}}, "ASHLAR_DATABASE_URL"),
    ("a coding that is none", BUNDLED | {"standardCoding": "4-2"}, "standardCoding"),
    ("no gateway", BUNDLED | {"gateway": {"replicas": 0}}, "replicas"),
    ("replicas that are no number", BUNDLED | {"metadata": {"replicas": "two"}}, "replicas"),
    ("resources without limits", BUNDLED | {"worker": {"resources": {"limits": None}}}, "limits"),
    ("a limit of nothing", BUNDLED | {"worker": {"resources": {"limits": {"memory": "much"}}}}, "memory"),
    ("no pool", BUNDLED | {"chunk": {"pools": []}}, "pools"),
    ("a pool without a name", BUNDLED | {"chunk": {"pools": [{"replicas": 6, "storage": {"size": "1Gi"}}]}}, "name"),
    ("a pool's name that no host can have", pool(name="Main_1"), "name"),
    ("a pool without storage", BUNDLED | {"chunk": {"pools": [{"name": "main", "replicas": 6}]}}, "storage"),
    ("a pool with nothing to keep shards on", pool(disks=0), "remoteBuckets"),
    ("a medium with the name of remote buckets", pool(medium="s3"), "medium"),
    ("a remote bucket that all pods would share", pool(remoteBuckets=["s3://cold/all?endpoint=https://a.example"]), "remoteBuckets"),
    ("a failure domain with a slash", pool(failureDomain={"zone": "a/b"}), "zone"),
    ("TLS without a certificate", BUNDLED | {"tls": {"enabled": True}}, "existingSecret"),
    ("two certificates", BUNDLED | {"tls": {"enabled": True, "existingSecret": "x", "certManager": {"enabled": True}}}, "not both"),
    ("cert-manager without an issuer", BUNDLED | {"tls": {"enabled": True, "certManager": {"enabled": True}}}, "issuer"),
    ("TLS between services without certificates", BUNDLED | {"clusterTls": {"enabled": True}}, "secretPrefix"),
    ("two kinds of certificates between services", BUNDLED | {"clusterTls": {"enabled": True, "secretPrefix": "x", "certManager": {"enabled": True}}}, "not both"),
    ("cert-manager between services without an issuer", BUNDLED | {"clusterTls": {"enabled": True, "certManager": {"enabled": True}}}, "issuer"),
    ("Ingress without a host", BUNDLED | {"ingress": {"enabled": True}}, "hosts"),
    ("a route without a Gateway", BUNDLED | {"gatewayAPI": {"enabled": True}}, "parentRefs"),
    ("a backup without a time", BUNDLED | {"backup": {"enabled": True, "schedule": ""}}, "schedule"),
    ("a backup that keeps none", BUNDLED | {"backup": {"enabled": True, "keep": 0}}, "keep"),
    ("a digest that is none", BUNDLED | {"image": {"digest": "latest"}}, "digest"),
    ("an interval that is none", BUNDLED | {"monitoring": {"serviceMonitor": {"interval": "often"}}}, "interval"),
    ("two pools of one name", BUNDLED | {"chunk": {"pools": [{"name": "a", "replicas": 3, "storage": {"size": "1Gi"}}] * 2}}, "two pools"),
]


def run_rendering(report):
    """Lint and templates, over all values and both Helms. Returns the objects of each file."""
    rendered = {}
    for version in HELMS:
        report.section(f"Helm {helm(version, 'version', '--template', '{{.Version}}')}")
        for values in VALUES:
            with report.case(f"{values.stem}: lint finds nothing"):
                said = helm(version, "lint", "--strict", str(CHART), "--values", str(values))
                expect(re.findall(r"\[(?:WARNING|ERROR)\].*", said), [], "findings")
            with report.case(f"{values.stem}: renders, as by the other Helm"):
                objects = render(version, values)
                first = rendered.setdefault(values.stem, objects)
                expect(without_secrets(objects), without_secrets(first), "objects")
            with report.case(f"{values.stem}: says how to go on"):
                with serving([]) as kubeconfig:
                    said = helm(version, "install", "r", str(CHART), "--values", str(values), "--dry-run=client", "--disable-openapi-validation", kubeconfig=kubeconfig)
                notes = said.split("NOTES:")[1]
                expect("ashlar admin status" in notes, True, "admin command in the notes")
                expect("WARNING: the bundled Postgres" in notes, "bundled" in values.read_text(), "warning of the bundled Postgres")
        for why, values, message in REFUSED:
            with report.case(f"refuses {why}"):
                try:
                    render(version, values)
                except Refused as refused:
                    expect(bool(re.search(message, str(refused))), True, f"{message!r} in {str(refused)!r}")
                else:
                    raise AssertionError("it was accepted")
    return rendered


def without_secrets(objects):
    """The objects without what is random, in an order of their own."""
    objects = copy.deepcopy(objects)
    for each in of_kind(objects, "Secret"):
        each["data"] = sorted(each["data"])
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))


def run_schemas(report, rendered):
    """Every object against the schema of its kind; unknown fields are errors."""
    report.section("Kubernetes")
    for kubernetes in KUBERNETES:
        for name, objects in rendered.items():
            with report.case(f"{kubernetes}: {name}"):
                unknown = set()
                for each in objects:
                    try:
                        kubernetes_validate.validate(each, kubernetes, strict=True)
                    except kubernetes_validate.SchemaNotFoundError:
                        unknown.add(each["kind"])
                expect(unknown - CUSTOM, set(), "kinds without a schema")
    with report.case("a field that is misspelt is found"):
        objects = copy.deepcopy(rendered["trial"])
        of_kind(objects, "StatefulSet")[0]["spec"]["minReadySecond"] = 3
        found = 0
        for each in objects:
            try:
                kubernetes_validate.validate(each, "1.32", strict=True)
            except kubernetes_validate.ValidationError:
                found += 1
        expect(found, 1, "objects found wrong")


# What each rule has to find: a change of a gateway's pod or of all objects.
def gateway_of(objects):
    """The pod of the gateways."""
    return next(pod for _, pod in pods(objects) if component(pod) == "gateway")


def gateway_container(objects):
    """Its container."""
    return gateway_of(objects)["spec"]["containers"][0]


def the(objects, kind, ending):
    """The one object of a kind whose name ends so."""
    return next(each for each in of_kind(objects, kind) if each["metadata"]["name"].endswith(ending))


SPOILT = [
    ("root", policy.runs_without_privileges, lambda objects: gateway_of(objects)["spec"]["securityContext"].update(runAsUser=0)),
    ("no seccomp", policy.runs_without_privileges, lambda objects: gateway_of(objects)["spec"]["securityContext"].pop("seccompProfile")),
    ("a capability", policy.runs_without_privileges, lambda objects: gateway_container(objects)["securityContext"]["capabilities"].update(add=["NET_RAW"])),
    ("a root file system that can be written", policy.runs_without_privileges, lambda objects: gateway_container(objects)["securityContext"].pop("readOnlyRootFilesystem")),
    ("service links", policy.runs_without_privileges, lambda objects: gateway_of(objects)["spec"].pop("enableServiceLinks")),
    ("no limits", policy.has_bounds, lambda objects: gateway_container(objects)["resources"].pop("limits")),
    ("no probe", policy.is_probed, lambda objects: gateway_container(objects).pop("readinessProbe")),
    ("a probe of another port", policy.is_probed, lambda objects: gateway_container(objects)["livenessProbe"]["httpGet"].update(port="health2")),
    ("the image latest", policy.names_its_image, lambda objects: gateway_container(objects).update(image="ashlar:latest")),
    ("a password in the open", policy.keeps_secrets, lambda objects: gateway_container(objects)["env"].append({"name": "ASHLAR_ROOT_PASSWORD", "value": "x"})),
    ("a short stop", policy.has_time_to_stop, lambda objects: gateway_of(objects)["spec"].update(terminationGracePeriodSeconds=30)),
    ("a Service that leads nowhere", policy.fits_together, lambda objects: the(objects, "Service", "-metadata")["spec"]["selector"].update({"app.kubernetes.io/component": "x"})),
    ("a budget for two", policy.is_disrupted_one_by_one, lambda objects: the(objects, "PodDisruptionBudget", "-chunk")["spec"].update(maxUnavailable=2)),
    ("chunk services open to metadata", policy.is_reached_by_its_callers_alone, lambda objects: the(objects, "NetworkPolicy", "-chunk")["spec"]["ingress"][0]["from"][0]["podSelector"]["matchExpressions"][0]["values"].append("metadata")),
    ("chunk services open to all", policy.is_reached_by_its_callers_alone, lambda objects: the(objects, "NetworkPolicy", "-chunk")["spec"]["ingress"][0].pop("from")),
    ("gateways closed to an operator's commands", policy.is_reached_by_its_callers_alone, lambda objects: the(objects, "NetworkPolicy", "-gateway")["spec"]["ingress"].pop()),
    ("no policy for Postgres", policy.is_reached_by_its_callers_alone, lambda objects: objects.remove(the(objects, "NetworkPolicy", "-postgres"))),
]


def run_policy(report, rendered):
    """The rules, and that each finds what it is there for."""
    report.section("policy")
    for name, objects in rendered.items():
        values = yaml.safe_load(next(file for file in VALUES if file.stem == name).read_text(encoding="utf-8"))
        for rule in policy.RULES:
            part, switch = policy.OPTIONAL.get(rule, ("", ""))
            if not values.get(part, {}).get(switch, True):
                continue
            with report.case(f"{name}: {rule.__name__}"):
                expect(list(rule(objects)), [], "findings")
    for what, rule, spoil in SPOILT:
        with report.case(f"{rule.__name__} finds {what}"):
            objects = copy.deepcopy(rendered["trial"])
            spoil(objects)
            expect(bool(list(rule(objects))), True, "whether anything was found")


def run_monitoring(report, rendered):
    """That Prometheus finds every service once, and has the alerts of deploy/monitoring."""
    report.section("monitoring")
    objects = rendered["external"]
    with report.case("the ServiceMonitor leads to the health port of every service, once"):
        monitor = of_kind(objects, "ServiceMonitor")[0]["spec"]
        found = [each for each in of_kind(objects, "Service") if chooses(monitor["selector"], each["metadata"]["labels"])]
        led_to = [component(pod) for each in found for _, pod in pods(objects) if chooses({"matchLabels": each["spec"]["selector"]}, pod["metadata"]["labels"])]
        expect(sorted(led_to), sorted(settings.ROLES), "services")
        expect({port["name"] for each in found for port in each["spec"]["ports"]}, {endpoint["port"] for endpoint in monitor["endpoints"]}, "ports")
    with report.case("the PrometheusRule has the alerts of deploy/monitoring"):
        alerts = yaml.safe_load((ROOT / "deploy/monitoring/alerts.yml").read_text(encoding="utf-8"))
        expect(of_kind(objects, "PrometheusRule")[0]["spec"], alerts, "alerts")
    with report.case("how many gateways there are is no matter where their load says it"):
        asked = BUNDLED | {"monitoring": {"prometheusRule": {"enabled": True}}}
        many = [{rule["alert"]: rule["expr"] for group in of_kind(render("3", asked | more), "PrometheusRule")[0]["spec"]["groups"] for rule in group["rules"]} for more in ({}, {"gateway": {"autoscaling": {"enabled": True}}})]
        expect([name for name in many[0] if many[0][name] != many[1][name]], ["AshlarServiceMissing"], "alerts that differ")
        expect([alerts["AshlarServiceMissing"].count('{service!="gateway"}') for alerts in many], [0, 2], "gateways that are left out")
    with report.case("no label that the Prometheus Operator gives takes the name of a metric's"):
        given = {"namespace", "service", "pod", "container", "endpoint", "job", "instance"}
        ours = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| `\w+` \| \w+ \| [^|]* \|([^|]*)\|", (ROOT / "docs/metrics.md").read_text(encoding="utf-8"), re.M))))
        expect({"service", "status"} <= ours, True, "whether labels were found")
        for name in ("external", "pools"):
            for endpoint in of_kind(rendered[name], "ServiceMonitor")[0]["spec"]["endpoints"]:
                dropped = {each["regex"] for each in endpoint["relabelings"] if each.get("action") == "labeldrop"}
                expect(ours & (given - dropped), set(), f"{name}: labels of both")
    with report.case("neither is there unless it is asked for"):
        expect(of_kind(rendered["trial"], "PrometheusRule", "ServiceMonitor"), [], "objects")


# Set in one of the two alone, and why.
CHART_ALONE = {
    "ASHLAR_LOG": "its default, named so that it can be changed",
    "ASHLAR_LOG_FORMAT": "what collects logs in Kubernetes reads JSON",
    "ASHLAR_MEDIUM": "its default, named so that pools can differ",
}
COMPOSE_ALONE = {
    "ASHLAR_NAME_FROM": "a pod is told its name, a container of Compose is not",
    "ASHLAR_ENCRYPTION_KEYS": "made at the first start there; the chart makes none, and takes those of `encryption`",
}
# What is an address or a place, which cannot be the same.
PLACES = {"ASHLAR_METADATA", "ASHLAR_ADVERTISE", "ASHLAR_FAILURE_DOMAIN", "ASHLAR_DATA", "ASHLAR_DATABASE_URL", "ASHLAR_IDENTITY_KEY"}
# Values of the chart itself, which a role's `settings` cannot set.
OWN = PLACES | {
    "ASHLAR_NAME_FROM", "ASHLAR_LISTEN", "ASHLAR_HEALTH_LISTEN", "ASHLAR_CLUSTER_SECRET", "ASHLAR_ROOT_USER", "ASHLAR_ROOT_PASSWORD", "ASHLAR_ENCRYPTION_KEYS", "ASHLAR_MEDIUM",
    "ASHLAR_TLS_CERT", "ASHLAR_TLS_KEY", "ASHLAR_CLUSTER_TLS_CERT", "ASHLAR_CLUSTER_TLS_KEY", "ASHLAR_CLUSTER_TLS_CA", "ASHLAR_WEBSITE_ADDRESS", "ASHLAR_WEBSITE_DOMAIN", "ASHLAR_STANDARD_CODING", "ASHLAR_LOG", "ASHLAR_LOG_FORMAT",
    "ASHLAR_KMS_ENDPOINT", "ASHLAR_KMS_TOKEN_FILE", "ASHLAR_KMS_MOUNT", "ASHLAR_KMS_DEFAULT_KEY", "ASHLAR_KMS_CA", "ASHLAR_KMS_CACHE",
    "ASHLAR_OIDC_PRIVATE_HOSTS", "ASHLAR_OIDC_CA",
}  # fmt: skip


def run_settings(report, rendered):
    """Every variable is a setting of its role, and compose and the chart give the same ones."""
    report.section("settings")
    documented = settings.documented()
    for name, objects in rendered.items():
        with report.case(f"{name}: every variable is a setting of its role"):
            seen = set()
            for who, pod in pods(objects):
                container = pod["spec"]["containers"][0]
                if component(pod) not in settings.ROLES:
                    continue
                expect(container["args"], [component(pod)], f"{who}: arguments")
                given = settings.of_container(container)
                expect(set(given) - set(documented[component(pod)].values()), set(), f"{who}: variables that are no settings")
                expect(len(container["env"]), len({each["name"] for each in container["env"]}), f"{who}: variables given once")
                numbers = [value for value in given.values() if value and re.search(r"\de\+", value)]
                expect(numbers, [], f"{who}: numbers as floating point")
                seen.add(component(pod))
            expect(seen, set(settings.ROLES), "roles")
    for name in ("external", "pools"):
        with report.case(f"{name}: gateways, workers and an operator's commands have the same file of master keys, to read, and nobody else has it"):
            having = {}
            for _, pod in pods(rendered[name]):
                if file := settings.of_container(pod["spec"]["containers"][0] | {"env": pod["spec"]["containers"][0].get("env", [])}).get("ASHLAR_ENCRYPTION_KEYS"):
                    volume = next(each for each in pod["spec"]["volumes"] if each["name"] == "encryption")
                    having[component(pod)] = (file, json.dumps(volume, sort_keys=True))
                    mounts = [each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["name"] == "encryption"]
                    expect([each.get("readOnly") for each in mounts], [True], f"whether {component(pod)} only reads it")
            there = {component(pod) for _, pod in pods(rendered[name])}
            expect(sorted(having), sorted({"admin", "gateway", "worker"} & there), "who has it")
            expect(len(set(having.values())), 1, "files")
    with report.case("external: gateways and workers have the same key service and its token, and nobody else has them"):
        having = {}
        for _, pod in pods(rendered["external"]):
            container = pod["spec"]["containers"][0]
            given = settings.of_container(container | {"env": container.get("env", [])})
            if given.get("ASHLAR_KMS_ENDPOINT"):
                volume = next(each for each in pod["spec"]["volumes"] if each["name"] == "kms")
                mounted = next(each for each in container["volumeMounts"] if each["name"] == "kms")
                expect(given["ASHLAR_KMS_TOKEN_FILE"], mounted["mountPath"] + "/" + volume["secret"]["items"][0]["path"], "token")
                expect(given["ASHLAR_KMS_CA"], mounted["mountPath"] + "/" + volume["secret"]["items"][1]["path"], "certificates")
                having[component(pod)] = json.dumps([volume, {name: value for name, value in given.items() if "KMS" in name}], sort_keys=True)
        expect(sorted(having), ["gateway", "worker"], "who has it")
        expect(len(set(having.values())), 1, "services")
    with report.case("external: gateways alone may ask the named providers, and have the file of who signed their certificates"):
        having = {}
        for _, pod in pods(rendered["external"]):
            container = pod["spec"]["containers"][0]
            given = settings.of_container(container | {"env": container.get("env", [])})
            if hosts := given.get("ASHLAR_OIDC_PRIVATE_HOSTS"):
                volume = next(each for each in pod["spec"]["volumes"] if each["name"] == "oidc")
                mounted = next(each for each in container["volumeMounts"] if each["name"] == "oidc")
                expect(given["ASHLAR_OIDC_CA"], mounted["mountPath"] + "/" + volume["configMap"]["items"][0]["path"], "certificates")
                having[component(pod)] = (hosts, volume["configMap"]["name"])
        expect(having, {"gateway": ("kubernetes.default.svc,10.96.0.1", "kube-root-ca.crt")}, "who has it")
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    for role in settings.ROLES:
        with report.case(f"the schema takes every setting of {role} that the chart does not set itself"):
            part = schema["$defs"]["chunkSettings"] if role == "chunk" else schema["properties"][role]["properties"]["settings"]
            expect(sorted(part["properties"]), sorted(set(documented[role].values()) - OWN), "settings")

    report.section("compose")
    composed, file = settings.of_compose()
    of_role = {component(pod): pod for _, pod in pods(rendered["trial"])}
    replicas = {}
    for each in of_kind(rendered["trial"], "Deployment", "StatefulSet"):
        replicas[component(each["spec"]["template"])] = each["spec"]["replicas"]
    for role in settings.ROLES:
        pod = of_role[role]
        container = pod["spec"]["containers"][0]
        given = settings.of_container(container)
        with report.case(f"{role}: as many as in compose"):
            expect(replicas[role], sum(settings.number_of(service) for _, service in composed[role]), "replicas")
        for composed_settings, service in composed[role][:1]:
            with report.case(f"{role}: the same settings as in compose"):
                expect(set(given) - set(CHART_ALONE), set(composed_settings) - set(CHART_ALONE) - set(COMPOSE_ALONE), "settings")
                for name in set(given) & set(composed_settings) - PLACES:
                    if given[name] is not None:
                        expect(given[name], composed_settings[name], name)
            with report.case(f"{role}: probes ask what compose's health check asks"):
                asked = re.fullmatch(r"http://127.0.0.1:(\d+)(/.*)", service["healthcheck"]["test"][-1])
                probe = container["readinessProbe"]["httpGet"]
                port = next(each["containerPort"] for each in container["ports"] if each["name"] == probe["port"])
                expect((str(port), probe["path"]), asked.groups(), "port and path")
            with report.case(f"{role}: has as much time to stop"):
                expect(pod["spec"]["terminationGracePeriodSeconds"] >= int(service["stop_grace_period"].rstrip("s")), True, "long enough")
            with report.case(f"{role}: runs the same image"):
                expect(container["image"].split(":")[0], re.sub(r".*:-(.*)}", r"\1", service["image"]), "image")
    with report.case("Postgres is the same image"):
        expect(of_role["postgres"]["spec"]["containers"][0]["image"], file["services"]["postgres"]["image"], "image")
    with report.case("pods run as the user of the image"):
        user = re.search(r"^USER (\d+):", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)[1]
        expect({of_role[role]["spec"]["securityContext"]["runAsUser"] for role in settings.ROLES}, {int(user)}, "users")


def run_upgrades(report):
    """What the chart finds in a cluster, told by a server that answers as Kubernetes does: secrets stay, pods are not lost."""
    for version in HELMS:
        report.section(f"upgrades, Helm {version}")
        first = render(version, TRIAL)
        secrets = of_kind(first, "Secret")
        with report.case("secrets are what the services take"):
            data = {name: base64.b64decode(value).decode() for name, value in the(first, "Secret", "-secrets")["data"].items()}
            expect(sorted(data), ["cluster-secret", "identity-key", "root-password", "root-user"], "keys")
            expect(bool(re.fullmatch("[0-9a-f]{64}", data["identity-key"])), True, "an identity key of 64 hexadecimal digits")
            expect(len(data["cluster-secret"]) >= 32 and 8 <= len(data["root-password"]) <= 128, True, "long enough")
            expect({each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in secrets}, {"keep"}, "kept when the release is removed")
        with report.case("without a cluster to ask, secrets are new each time"):
            expect(all(a["data"] != b["data"] for a, b in zip(secrets, of_kind(render(version, TRIAL), "Secret"), strict=True)), True, "they differ")
        with serving(first) as kubeconfig:
            with report.case("an upgrade keeps the secrets that are there"):
                again = of_kind(render(version, TRIAL, *FROM_CLUSTER, kubeconfig=kubeconfig), "Secret")
                expect([each["data"] for each in again], [each["data"] for each in secrets], "secrets")
            with report.case("an upgrade that changes the root user's name keeps the one that is there"):
                again = render(version, TRIAL, "--set", "secrets.rootUser=other", *FROM_CLUSTER, kubeconfig=kubeconfig)
                expect(the(again, "Secret", "-secrets")["data"], the(first, "Secret", "-secrets")["data"], "secret")
            with report.case("a pool may grow"):
                render(version, pool(replicas=8), *FROM_CLUSTER, kubeconfig=kubeconfig)
            with report.case("a pool that is not drained may not shrink"):
                try:
                    render(version, pool(replicas=5), *FROM_CLUSTER, kubeconfig=kubeconfig)
                except Refused as refused:
                    expect("Drain the nodes" in str(refused), True, f"advice in {refused}")
                else:
                    raise AssertionError("it was accepted")
            with report.case("a pool that is drained may shrink"):
                render(version, pool(replicas=5, drained=True), *FROM_CLUSTER, kubeconfig=kubeconfig)
        with serving([]) as kubeconfig, report.case("a first installation makes secrets"):
            made = of_kind(render(version, TRIAL, *FROM_CLUSTER, kubeconfig=kubeconfig), "Secret")
            expect([sorted(each["data"]) for each in made], [sorted(each["data"]) for each in secrets], "keys")


def run_operators(report, rendered):
    """What operators need beside the services: a certificate of theirs, backups, the order of an upgrade."""
    report.section("operators")
    with report.case("with TLS between services there is a pod with the certificate of operators"):
        for name in ("external", "pools"):
            pod = the(rendered[name], "Deployment", "-admin")["spec"]["template"]
            given = settings.of_container(pod["spec"]["containers"][0])
            expect(set(given) - set(settings.of_container(the(rendered[name], "Deployment", "-worker")["spec"]["template"]["spec"]["containers"][0])), set(), f"{name}: settings")
            expect(pod["spec"]["volumes"][0]["secret"]["secretName"].endswith("-admin"), True, f"{name}: certificate")
        made = {each["metadata"]["name"].rsplit("-", 1)[1] for each in of_kind(rendered["pools"], "Certificate") if "-cluster-" in each["metadata"]["name"]}
        expect(made, {"gateway", "worker", "chunk", "metadata", "admin", "monitor"}, "certificates of cert-manager")
        expect([each for each in of_kind(rendered["trial"], "Deployment") if each["metadata"]["name"].endswith("-admin")], [], "the pod without TLS")
    with report.case("backups are of the metadata services' database, by their program, and older ones go"):
        more = {"backup": {"enabled": True, "keep": 2}, "metadata": {"imageTag": "9.9.9"}}
        objects = render("3", BUNDLED | more)
        job = the(objects, "CronJob", "-backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        metadata = the(objects, "Deployment", "-metadata")["spec"]["template"]["spec"]["containers"][0]
        expect((job["image"], job["env"][0]), (metadata["image"], metadata["env"][0]), "image and database")
        for rule in policy.RULES:
            expect(list(rule(objects)), [], rule.__name__)
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "ashlar")
            program.write_text('#!/bin/sh\n[ "$1 $2 $3" = "admin backup --to" ] && [ ! -e "$4" ] && echo rows > "$4"\n', encoding="utf-8")
            program.chmod(0o755)
            backups = pathlib.Path(folder, "backups")
            backups.mkdir()
            for name in (*(f"2026-01-0{day}T00-00-00Z.ashlar" for day in range(1, 5)), "2026-01-05T00-00-00Z.ashlar.12.partial", "now.ashlar.13.partial", "other"):
                (backups / name).touch()
            os.utime(backups / "2026-01-05T00-00-00Z.ashlar.12.partial", (time.time() - 7200,) * 2)
            script = job["command"][2].replace("/backups", str(backups))

            def make(keep, code=0):
                done = subprocess.run(["/bin/sh", "-euc", script], env={"PATH": f"{folder}:{os.environ['PATH']}", "KEEP": str(keep)}, timeout=10, check=False)
                expect(done.returncode, code, "code")
                return sorted(path.name for path in backups.iterdir())

            old = ["2026-01-03T00-00-00Z.ashlar", "2026-01-04T00-00-00Z.ashlar"]
            left = make(3)
            expect((left[:2], len(left), left[-2:]), (old, 5, ["now.ashlar.13.partial", "other"]), "what is left, with one that is being written")
            (backups / left[2]).unlink()
            program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
            for _ in range(2):
                expect(make(2, 1), [old[1], *left[-2:]], "what is left where none can be made: room, and a backup")
            expect(make(1, 1), [old[1], *left[-2:]], "what is left where one alone is kept")
            program.write_text('#!/bin/sh\necho rows > "$4"\n', encoding="utf-8")
            expect([len(make(1)), (backups / old[1]).exists()], [3, False], "whether the new one takes its place")
    with report.case("pods for backups and operators stand where they are told, and a backup that hangs is given up"):
        places = {"nodeSelector": {"disk": "big"}, "tolerations": [{"key": "storage", "operator": "Exists"}]}
        objects = render("3", BUNDLED | {"backup": {"enabled": True, "deadlineSeconds": 99} | places, "clusterTls": {"enabled": True, "secretPrefix": "x", "admin": places}})
        job = the(objects, "CronJob", "-backup")["spec"]["jobTemplate"]["spec"]
        expect(job["activeDeadlineSeconds"], 99, "seconds")
        for pod in (job["template"]["spec"], the(objects, "Deployment", "-admin")["spec"]["template"]["spec"]):
            expect({name: pod[name] for name in places}, places, "places")
    with report.case("the guide makes Jobs that list backups and restore one, of the CronJob"):
        if not (shutil.which("kubectl") and shutil.which("jq")):
            raise NotRun("kubectl or jq is not there")
        objects = render("3", BUNDLED | {"fullnameOverride": "ashlar", "backup": {"enabled": True}})
        cronjob = the(objects, "CronJob", "-backup")
        guide = (ROOT / "docs/how-to/back-up-and-restore.md").read_text(encoding="utf-8")
        made = re.findall(r"(kubectl create job ashlar-(?:backups|restore) [^`]*?) *\|\s*kubectl create --filename=-", guide)
        with serving([cronjob]) as kubeconfig:
            jobs = [json.loads(subprocess.run(["bash", "-euo", "pipefail", "-c", command], env={"PATH": os.environ["PATH"], "HOME": str(kubeconfig.parent), "KUBECONFIG": str(kubeconfig)}, capture_output=True, text=True, timeout=30, check=True).stdout) for command in made]
        wanted = cronjob["spec"]["jobTemplate"]["spec"]["template"]
        commands = []
        for job in jobs:
            expect(job["kind"], "Job", "kind")
            commands.append(job["spec"]["template"]["spec"]["containers"][0].pop("command"))
            container = copy.deepcopy(wanted["spec"]["containers"][0])
            del container["command"]
            given = job["spec"]["template"]["spec"]
            expect({name: given["containers"][0][name] for name in container}, container, "the rest of the container")
            expect((given["volumes"], job["spec"]["template"]["metadata"]["labels"]), (wanted["spec"]["volumes"], wanted["metadata"]["labels"]), "volumes and labels")
        expect([command[:4] for command in commands], [["ls", "-l", "/backups"], ["ashlar", "admin", "restore", "--from"]], "commands")
        expect((jobs[1]["spec"]["backoffLimit"], "activeDeadlineSeconds" in jobs[1]["spec"]), (0, False), "repetitions and deadline of a restore")
    with report.case("the metadata services can be upgraded before the others"):
        objects = render("3", BUNDLED | {"image": {"tag": "1.0.0"}, "metadata": {"imageTag": "1.1.0"}})
        images = {component(pod): pod["spec"]["containers"][0]["image"].split(":")[1] for _, pod in pods(objects)}
        expect({images.pop("metadata"), images.pop("postgres")}, {"1.1.0", "15"}, "images")
        expect(set(images.values()), {"1.0.0"}, "images of the others")


def run_release(report):
    """What a release makes of the chart, and what its workflow pushes."""
    workflow = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    for version in HELMS:
        report.section(f"release, Helm {version}")
        with tempfile.TemporaryDirectory(prefix="ashlar-chart-") as folder:
            with report.case("the chart of a release pulls the image of that release"):
                environment = os.environ | {"HELM": str(HELMS[version]), "HELM_CONFIG_HOME": folder}
                words = [ROOT / "packaging/chart", "1.2.3", "ghcr.io/example/ashlar", folder]
                subprocess.run(words, env=environment, capture_output=True, timeout=60, check=True)
                packed = helm(version, "template", "r", f"{folder}/ashlar-1.2.3.tgz", "--values", str(TRIAL))
                images = {pod["spec"]["containers"][0]["image"] for _, pod in pods([each for each in yaml.safe_load_all(packed) if each])}
                expect(images, {"ghcr.io/example/ashlar:1.2.3", "postgres:15"}, "images")
    report.section("release")
    with report.case("the workflow pushes the image under the name that the chart pulls"):
        steps = yaml.safe_load(workflow)["jobs"]["image"]["steps"]
        named = next(step["run"] for step in steps if step.get("id") == "name")
        pushed = next(step["with"]["tags"] for step in steps if step.get("id") == "push")
        with tempfile.NamedTemporaryFile("r") as output:
            environment = {"PATH": os.environ["PATH"], "GITHUB_OUTPUT": output.name, "GITHUB_REPOSITORY": "Example/Ashlar", "GITHUB_REF_NAME": "v1.2.3"}
            subprocess.run(["bash", "-euc", named], env=environment, timeout=10, check=True)
            outputs = dict(line.split("=", 1) for line in output.read().splitlines())
        for name, value in outputs.items():
            pushed = pushed.replace("${{ steps.name.outputs.%s }}" % name, value)
        expect(pushed, "ghcr.io/example/ashlar:1.2.3", "image")
    with report.case("the notes of a release are its own"):
        noted = subprocess.run([ROOT / "packaging/notes", "Unreleased"], capture_output=True, text=True, timeout=10, check=True).stdout
        expect(noted.startswith("Nothing was released yet") and "\n## " not in noted, True, "notes")
        none = subprocess.run([ROOT / "packaging/notes", "9.9.9"], capture_output=True, text=True, timeout=10, check=False)
        expect((none.returncode, none.stdout), (1, ""), "notes of a version that there is not")


def main():
    """Everything, in half a minute."""
    report = Report()
    rendered = run_rendering(report)
    if len(rendered) == len(VALUES):
        run_schemas(report, rendered)
        run_policy(report, rendered)
        run_settings(report, rendered)
        run_monitoring(report, rendered)
        run_upgrades(report)
        run_operators(report, rendered)
        run_release(report)
    sys.exit(report.close("helm"))


if __name__ == "__main__":
    main()

"""Runs Helm on the chart."""

import os
import pathlib
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm/ashlar"
HELMS = {version: ROOT / f".venv/helm-{version}/helm" for version in ("3", "4")}
# Those of the tests, and those that the chart itself offers.
VALUES = sorted([*(ROOT / "tests/helm/values").glob("*.yaml"), *CHART.glob("values-*.yaml")])
RELEASE = "r"


class Refused(Exception):
    """Helm ended with an error; the message is what it said."""


def helm(version, *arguments, kubeconfig=os.devnull):
    """What Helm prints. It sees no cluster but that of `kubeconfig`, and nothing of this machine's settings."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.environ["PATH"], "KUBECONFIG": str(kubeconfig)}
        done = subprocess.run([HELMS[version], *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def render(version, values, *more, kubeconfig=os.devnull):
    """The objects that the chart makes of `values`, a file or a dictionary."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        if isinstance(values, dict):
            yaml.safe_dump(values, file)
            file.flush()
            values = file.name
        text = helm(version, "template", RELEASE, str(CHART), "--values", str(values), *more, kubeconfig=kubeconfig)
    return [each for each in yaml.safe_load_all(text) if each]


def of_kind(objects, *kinds):
    """Those of some kinds."""
    return [each for each in objects if each["kind"] in kinds]


def pods(objects):
    """Everything that makes pods, as pairs of a name and the pod's template."""
    for each in of_kind(objects, "Deployment", "StatefulSet"):
        yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]
    for each in of_kind(objects, "CronJob"):
        yield f"CronJob {each['metadata']['name']}", each["spec"]["jobTemplate"]["spec"]["template"]
    for each in of_kind(objects, "Pod"):
        yield f"Pod {each['metadata']['name']}", each


def component(pod):
    """What a pod is, such as `gateway`."""
    return pod["metadata"]["labels"]["app.kubernetes.io/component"]


def chooses(selector, labels):
    """Whether a label selector chooses what has these labels."""
    for name, value in (selector.get("matchLabels") or {}).items():
        if labels.get(name) != value:
            return False
    for expression in selector.get("matchExpressions") or []:
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True

"""What every pod of the chart has to be. Each rule returns what it finds wrong."""

import re

from chart import chooses, component, of_kind, pods

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
SECRET = re.compile("SECRET$|PASSWORD|KEY_ID|DATABASE_URL|ROOT_USER")
STOP_SECONDS = 30 + 5


def runs_without_privileges(objects):
    """No root, no capability, nothing of the machine, and a root file system that cannot be written."""
    for name, pod in pods(objects):
        spec = pod["spec"]
        context = spec.get("securityContext", {})
        yield from (f"{name}: {key}" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key))
        if not context.get("runAsNonRoot") or not context.get("runAsUser") or not context.get("runAsGroup"):
            yield f"{name} may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{name}: seccomp"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name} is given a token of the cluster's API"
        if spec.get("enableServiceLinks") is not False:
            yield f"{name}: Services put variables into its environment"
        yield from (f"{name}: hostPath" for volume in spec.get("volumes", []) if "hostPath" in volume)
        for container in containers(pod):
            own = container.get("securityContext", {})
            if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
                yield f"{name}: privileges"
            if own.get("capabilities") != {"drop": ["ALL"]}:
                yield f"{name}: capabilities"
            if own.get("readOnlyRootFilesystem") is not True:
                yield f"{name}: the root file system can be written"


def has_bounds(objects):
    """Requests and limits of processor and memory."""
    for name, pod in pods(objects):
        for container in containers(pod):
            for what in ("requests", "limits"):
                if set(container.get("resources", {}).get(what, {})) < {"cpu", "memory"}:
                    yield f"{name}: no {what}"


def is_probed(objects):
    """Probes of what goes on running, at ports that it has."""
    for name, pod in pods(objects):
        if pod.get("kind") == "Pod" or pod["spec"].get("restartPolicy") == "Never":
            continue
        for container in containers(pod):
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in PROBES:
                found = container.get(probe)
                if not found:
                    yield f"{name}: no {probe}"
                elif "httpGet" in found and found["httpGet"]["port"] not in ports:
                    yield f"{name}: {probe} asks a port that is not there"


def names_its_image(objects):
    """An image that stays what it is."""
    for name, pod in pods(objects):
        for container in containers(pod):
            image = container["image"]
            if image.endswith(":latest") or not re.search(r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", image):
                yield f"{name}: image {image}"


def keeps_secrets(objects):
    """No secret stands in a pod's definition."""
    for name, pod in pods(objects):
        for container in containers(pod):
            for variable in container.get("env", []):
                if SECRET.search(variable["name"]) and "secretKeyRef" not in variable.get("valueFrom", {}):
                    yield f"{name}: {variable['name']} is not taken from a Secret"


def has_time_to_stop(objects):
    """At least the time that an orderly stop may take, after what is waited for before it."""
    for name, pod in pods(objects):
        if pod.get("kind") == "Pod":
            continue
        for container in containers(pod):
            before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
            if pod["spec"].get("terminationGracePeriodSeconds", 30) < int(before[1]) + STOP_SECONDS:
                yield f"{name}: killed before it has stopped"


def fits_together(objects):
    """Mounts have volumes, selectors choose the pods they are for, and Services lead to ports that are there."""
    for each in of_kind(objects, "Deployment", "StatefulSet"):
        name = f"{each['kind']} {each['metadata']['name']}"
        spec = each["spec"]
        pod = spec["template"]
        if not chooses(spec["selector"], pod["metadata"]["labels"]):
            yield f"{name} does not choose its own pods"
        others = [other for other in of_kind(objects, "Deployment", "StatefulSet") if other is not each]
        yield from (f"{name} chooses pods of {other['metadata']['name']}" for other in others if chooses(spec["selector"], other["spec"]["template"]["metadata"]["labels"]))
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])} | {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        for container in containers(pod):
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            if mounted != volumes:
                yield f"{name}: volumes {sorted(volumes)}, mounted {sorted(mounted)}"
    for service in of_kind(objects, "Service"):
        chosen = [pod for _, pod in pods(objects) if chooses({"matchLabels": service["spec"]["selector"]}, pod["metadata"]["labels"])]
        if not chosen:
            yield f"Service {service['metadata']['name']} leads nowhere"
        for pod in chosen:
            ports = {port["name"] for container in containers(pod) for port in container.get("ports", [])}
            yield from (f"Service {service['metadata']['name']}: no port {port['targetPort']}" for port in service["spec"]["ports"] if port["targetPort"] not in ports)
    names = [(each["kind"], each["metadata"]["name"]) for each in objects]
    yield from (f"{kind} {name} twice" for kind, name in sorted(set(names)) if names.count((kind, name)) > 1)


def is_disrupted_one_by_one(objects):
    """One budget for all pods of a component, of which one may be away."""
    budgets = of_kind(objects, "PodDisruptionBudget")
    for name, pod in pods(objects):
        if component(pod) not in ("gateway", "metadata", "chunk", "worker"):
            continue
        found = [each for each in budgets if chooses(each["spec"]["selector"], pod["metadata"]["labels"])]
        if [each["spec"].get("maxUnavailable") for each in found] != [1]:
            yield f"{name}: budgets {[each['metadata']['name'] for each in found]}"


# Who may reach which port of which component; nobody else may.
REACHED = {
    ("gateway", "s3"): None,
    ("gateway", "website"): None,
    ("metadata", "metadata"): {"gateway", "worker", "chunk", "admin"},
    ("chunk", "chunk"): {"gateway", "worker", "admin"},
    ("postgres", "postgres"): {"metadata", "backup"},
}
# Whose health listeners an operator's commands ask. They run in the pod for that, and where there is none in a worker's.
TELLS = {"gateway", "metadata", "chunk", "worker"}


def is_reached_by_its_callers_alone(objects):
    """What the NetworkPolicies let through, port by port, from every pod and from outside."""
    policies = of_kind(objects, "NetworkPolicy")
    all_pods = [(name, pod) for name, pod in pods(objects)]
    for name, pod in all_pods:
        if pod.get("kind") == "Pod":
            continue
        chosen = [each for each in policies if chooses(each["spec"]["podSelector"], pod["metadata"]["labels"])]
        if not chosen:
            yield f"{name} has no NetworkPolicy"
        for container in containers(pod):
            for port in container.get("ports", []):
                rules = [rule for policy in chosen for rule in policy["spec"].get("ingress") or [] if port["name"] in [each["port"] for each in rule["ports"]]]
                wanted = REACHED.get((component(pod), port["name"]), set())
                if port["name"] == "health" and component(pod) in TELLS:
                    wanted = {"admin"} if any(component(other) == "admin" for _, other in all_pods) else {"worker"}
                if wanted is None:
                    if not rules:
                        yield f"{name}: clients do not reach {port['name']}"
                    continue
                within = {component(other) for _, other in all_pods if any(lets_through(rule, other) for rule in rules)}
                # Not every installation has all of them.
                if within != wanted & {component(other) for _, other in all_pods}:
                    yield f"{name}: {port['name']} is reached by {sorted(within)}"
                if port["name"] != "health" and any("from" not in rule or any("podSelector" not in peer for peer in rule["from"]) for rule in rules):
                    yield f"{name}: {port['name']} is reached from outside"


def lets_through(rule, pod):
    """Whether a rule lets a pod of the release through; its namespace is none that rules name."""
    peers = rule.get("from")
    return not peers or any("podSelector" in peer and "namespaceSelector" not in peer and chooses(peer["podSelector"], pod["metadata"]["labels"]) for peer in peers)


def containers(pod):
    """All containers of a pod."""
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


RULES = [
    runs_without_privileges,
    has_bounds,
    is_probed,
    names_its_image,
    keeps_secrets,
    has_time_to_stop,
    fits_together,
    is_disrupted_one_by_one,
    is_reached_by_its_callers_alone,
]
# Rules about what values can switch off.
OPTIONAL = {is_disrupted_one_by_one: ("disruptionBudget", "enabled"), is_reached_by_its_callers_alone: ("networkPolicy", "enabled")}

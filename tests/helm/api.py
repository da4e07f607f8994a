"""As much of a Kubernetes API server as Helm asks when it renders: which resources there are, and objects by name."""

import contextlib
import http.server
import json
import pathlib
import tempfile
import threading

import yaml

from chart import RELEASE

KINDS = {
    "v1": ["Secret", "Service", "ServiceAccount", "Pod"],
    "apps/v1": ["Deployment", "StatefulSet"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "batch/v1": ["CronJob", "Job"],
    "cert-manager.io/v1": ["Certificate"],
    "gateway.networking.k8s.io/v1": ["HTTPRoute"],
    "monitoring.coreos.com/v1": ["PrometheusRule", "ServiceMonitor"],
    "networking.k8s.io/v1": ["Ingress", "NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
    "postgresql.cnpg.io/v1": ["Cluster"],
}


def prefix(version):
    """Where the resources of a version are."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def plural(kind):
    """The resource's name of a kind."""
    name = kind.lower()
    return name + "es" if name.endswith("s") else name[:-1] + "ies" if name.endswith("y") else name + "s"


def group(version):
    """What the list of groups says of one."""
    only = {"groupVersion": version, "version": version.split("/")[1]}
    return {"name": version.split("/")[0], "versions": [only], "preferredVersion": only}


def answer(path, objects):
    """The body of an answer, or None for what is not there."""
    if path == "/version":
        return {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(version) for version in KINDS if "/" in version]}
    for version, kinds in KINDS.items():
        if path == prefix(version):
            resources = [{"name": plural(kind), "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"]} for kind in kinds]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}
    return objects.get(path)


def path_of(each):
    """The path of an object of the namespace `default`."""
    return f"{prefix(each['apiVersion'])}/namespaces/default/{plural(each['kind'])}/{each['metadata']['name']}"


def owned(each):
    """The object with what Helm writes on what it installs."""
    metadata = each["metadata"]
    annotations = (metadata.get("annotations") or {}) | {"meta.helm.sh/release-name": RELEASE, "meta.helm.sh/release-namespace": "default"}
    return each | {"metadata": metadata | {"annotations": annotations}}


@contextlib.contextmanager
def serving(objects):
    """Serves the objects, as Helm has installed them, while the block runs; gives the path of a kubeconfig that leads there."""
    by_path = {path_of(each): owned(each) for each in objects}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            body = answer(path, by_path)
            status = 200 if body else 404
            if not body:
                body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": f"{path} not found"}
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        try:
            yield file
        finally:
            server.shutdown()
            server.server_close()

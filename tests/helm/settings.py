"""What docs/configuration.md and docker-compose.yml say of each role's settings."""

import re

import yaml

from chart import ROOT

ROLES = ("gateway", "metadata", "chunk", "worker")


def documented():
    """The settings of each role: variables by flag."""
    settings, role = {}, None
    for line in (ROOT / "docs/configuration.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## ashlar (\w+)", line):
            role = settings.setdefault(heading[1], {})
        elif row := re.match(r"\| `(--[\w-]+)` \| `(ASHLAR_\w+)` \|", line):
            role[row[1]] = row[2]
    return settings


def of_compose():
    """For each role its services in docker-compose.yml, each as its settings and the service."""
    file = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    flags = documented()
    roles = {role: [] for role in ROLES}
    for service in file["services"].values():
        role, *words = service.get("command") or [None]
        # One that is given another program prepares something for the roles.
        if role is None or "entrypoint" in service:
            continue
        given = {flags[role][flag]: value for flag, value in zip(words[::2], words[1::2], strict=True)}
        roles[role].append((service.get("environment", {}) | given, service))
    return roles, file


def number_of(service):
    """How many containers of a service compose starts when nobody says otherwise."""
    return int(re.sub(r"\$\{\w+:-(\d+)\}", r"\1", str(service.get("scale", 1))))


def of_container(container):
    """The settings that a container is given: values, or None for what is taken from elsewhere."""
    return {variable["name"]: variable.get("value") for variable in container["env"] if variable["name"].startswith("ASHLAR_")}

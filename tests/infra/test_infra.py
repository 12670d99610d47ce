"""The infrastructure's files, each by its own schema or parser, and each beside the code that it names."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import promql_parser
import pytest
import typer
import yaml

from flows.cli import app
from flows.factory.deployments import DEPLOYMENTS, NAME
from flows.operate.metrics import NAMES
from flows.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
KUBERNETES = "1.33"

MANIFESTS = sorted((INFRA / "kubernetes").glob("*.yaml"))
DOCKERFILES = sorted(INFRA.glob("Dockerfile.*"))

Json = dict[str, Any]


def documents(path: Path) -> list[Json]:
    return list(yaml.safe_load_all(path.read_text("utf-8")))


def known_settings(names: list[str]) -> None:
    """Every `LECTERN_` variable is a setting."""
    wanted = {name for name in names if name.startswith(PREFIX)}
    assert wanted <= {PREFIX + name.upper() for name in Settings.model_fields}


def known_command(command: list[str] | None) -> None:
    """A `lectern` command line parses: the command exists, and its options and values are right."""
    if not command or command[0] != "lectern" or command[1] == "--help":
        return
    name, arguments = command[1], command[2:]
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    commands[name].make_context(name, list(arguments))


# Compose ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose() -> Json:
    return documents(INFRA / "compose.yaml")[0]


def test_the_compose_file_is_one_by_its_specification(compose: Json) -> None:
    schema = files("check_jsonschema.builtin_schemas") / "vendor" / "compose-spec.json"
    jsonschema.validate(compose, json.loads(schema.read_text("utf-8")))
    wanted = {"postgres", "seaweedfs", "prefect", "worker", "review"}
    assert wanted <= set(compose["services"])


def test_the_compose_file_names_what_there_is(compose: Json) -> None:
    services, volumes = compose["services"], compose["volumes"]
    for name, service in services.items():
        for other, how in _depends(service):
            assert other in services, f"{name} waits for {other}, which is not there"
            if how == "service_healthy":
                assert "healthcheck" in services[other], f"{other} says nothing of its health"
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (INFRA / source).exists() if source.startswith(".") else source in volumes
        known_settings(list(service.get("environment", {})))
        if isinstance(service.get("command"), list):
            known_command(service["command"])
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} would be open to the network"


def _depends(service: Json) -> Iterator[tuple[str, str]]:
    found = service.get("depends_on", {})
    for name in found:
        yield name, found[name]["condition"] if isinstance(found, dict) else "service_started"


def test_no_secret_stands_in_a_file_and_each_is_asked_for(compose: Json) -> None:
    given = (INFRA / "example.env").read_text("utf-8")
    text = (INFRA / "compose.yaml").read_text("utf-8")
    for name in set(re.findall(r"\$\{(\w+(?:PASSWORD|KEY))", text)):
        assert re.search(rf"^{name}=$", given, re.MULTILINE), f"{name} is not in example.env"
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|AUTH|DATABASE_URL|CONNECTION_URL", name):
                assert "${" in str(value), f"{name} is written out"


# Images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_has_no_fault_that_hadolint_knows(path: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    command = [str(hadolint), "--config", str(INFRA / "hadolint.yaml"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_copies_what_there_is(path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for line in path.read_text("utf-8").splitlines():
        copied = re.match(r"COPY (?!--from)(.*) \S+$", line)
        for source in copied[1].split() if copied else ():
            assert (ROOT / source).exists(), f"{source} is not there"
            assert source not in ignored


def test_the_lock_holds_every_package_that_the_project_names() -> None:
    """It is installed without looking for dependencies: what it lacks is missing on a new machine."""

    def name(requirement: str) -> str:
        return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;@]", requirement)[0]).lower()

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {*project["dependencies"], *project["optional-dependencies"]["dev"]}
    lock = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    assert {name(one) for one in named} - {name(line) for line in lock} == set()


def test_an_image_gets_the_lock_without_developers_tools() -> None:
    def printed(*arguments: str) -> list[str]:
        command = [sys.executable, str(INFRA / "runtime_lock.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    lock = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    everything = printed()
    assert set(everything) < set(lock)
    assert "prefect==3.8.8" in everything
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for tool in tools["optional-dependencies"]["dev"]:
        name = re.split("[=>]", tool)[0].lower()
        assert not any(line.lower().startswith(f"{name}==") for line in everything)
    assert printed("--only", "torch") == ["torch==2.13.0"]
    torchless = printed("--without", "torch", "torchaudio")
    assert {line for line in everything if line not in torchless} == {
        line for line in lock if line.startswith(("torch==", "torchaudio=="))
    }


# Prefect ------------------------------------------------------------------------------------------


def test_prefects_own_loader_reads_the_deployments_that_the_table_names() -> None:
    from prefect.cli.deploy._config import _load_deploy_configs_and_actions
    from rich.console import Console

    read, actions = _load_deploy_configs_and_actions(INFRA / "prefect.yaml", console=Console())
    assert actions["pull"][0]["prefect.deployments.steps.set_working_directory"]
    found = {}
    for one in read:
        path, _, function = one["entrypoint"].partition(":")
        assert (ROOT / path).exists()
        found[f"{path.removesuffix('.py').replace('/', '.')}:{function}"] = one
        assert one["name"] == NAME
    assert set(found) == {one.entrypoint for one in DEPLOYMENTS}
    for wanted in DEPLOYMENTS:
        one = found[wanted.entrypoint]
        assert one["description"] == wanted.description
        default = Settings.model_fields[wanted.cron].default if wanted.cron else None
        assert [one["cron"] for one in one.get("schedules", [])] == ([default] if default else [])
        assert (one.get("concurrency_limit") or {}).get("limit") == (1 if wanted.cron else None)
        module, _, function = wanted.entrypoint.partition(":")
        assert getattr(import_module(module), function).name == wanted.flow


# Kubernetes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_is_valid_by_its_schema_without_unknown_fields(path: Path) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_pods_ask_for_what_they_need_and_hold_no_secret() -> None:
    pods = {
        document["metadata"]["name"]: document["spec"]["template"]["spec"]
        for path in MANIFESTS
        for document in documents(path)
        if document["kind"] in {"Deployment", "Job"}
    }
    assert {"gpu-worker", "shift"} <= set(pods)
    for name, pod in pods.items():
        (container,) = pod["containers"]
        assert {"configMapRef", "secretRef"} == {key for one in container["envFrom"] for key in one}
        assert "env" not in container
        assert container["resources"]["requests"]["cpu"]
        assert container["resources"]["limits"]["memory"]
        assert pod["enableServiceLinks"] is False
        on_gpu = "nvidia.com/gpu" in container["resources"]["limits"]
        assert on_gpu == (name in {"gpu-worker", "shift"}) == container["image"].endswith("cuda")
        known_command(container["command"])
    for worker in ("gpu-worker", "desk-worker", "review", "metrics"):
        assert "livenessProbe" in pods[worker]["containers"][0]
    (settings,) = (
        document
        for document in documents(INFRA / "kubernetes" / "settings.yaml")
        if document["kind"] == "ConfigMap"
    )
    known_settings(list(settings["data"]))
    assert not any(
        document["kind"] == "Secret" for path in MANIFESTS for document in documents(path)
    )


def test_a_manifest_with_a_wrong_field_would_be_found() -> None:
    document = documents(INFRA / "kubernetes" / "gpu-worker.yaml")[0]
    document["spec"]["template"]["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="resource"):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


# Prometheus and Grafana -----------------------------------------------------------------------------


def alerts() -> list[Json]:
    (group,) = documents(INFRA / "prometheus" / "alerts.yaml")[0]["groups"]
    return list(group["rules"])


def panels() -> list[Json]:
    return list(json.loads((INFRA / "grafana" / "lectern.json").read_text("utf-8"))["panels"])


def metrics_in(expression: str) -> set[str]:
    """Return the metrics that an expression reads; raises where it is no PromQL."""
    promql_parser.parse(expression)
    return set(re.findall(r"\b(\w+)(?=[{\[]|\s|\)|$)", expression)) & {
        word for word in re.findall(r"\blectern_\w+", expression)
    }


def test_every_alert_is_promql_over_metrics_that_are_exported_and_has_a_page() -> None:
    page = (ROOT / "docs" / "operators.md").read_text("utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("#")
    }
    for rule in alerts():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        read = metrics_in(rule["expr"])
        assert read
        assert read <= NAMES, f"{rule['alert']} reads what nobody exports"
        assert re.fullmatch(r"\d+[mh]", rule["for"])
        assert rule["labels"]["severity"] in {"page", "ticket"}
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / file).exists()
        assert anchor in headings, f"no section for {rule['alert']}"


def test_every_panel_is_promql_over_metrics_that_are_exported() -> None:
    seen: set[str] = set()
    boxes = []
    for panel in panels():
        for target in panel["targets"]:
            read = metrics_in(target["expr"])
            assert read <= NAMES, f"{panel['title']} reads what nobody exports"
            seen |= read
        place = panel["gridPos"]
        boxes.append((place["x"], place["y"], place["w"], place["h"]))
        assert place["x"] + place["w"] <= 24
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for one in boxes:
        for other in boxes:
            apart = (
                one[0] + one[2] <= other[0]
                or other[0] + other[2] <= one[0]
                or one[1] + one[3] <= other[1]
                or other[1] + other[3] <= one[1]
            )
            assert one is other or apart, "panels lie on each other"
    assert seen == NAMES, f"no panel shows {NAMES - seen}"


def test_labels_that_alerts_and_panels_select_exist() -> None:
    from flows.operate.metrics import QUERIES

    values = {query.name: set(query.always) for query in QUERIES}
    values["lectern_device_seconds_total"] = {"reading", "rendering", "idle", "starved"}
    expressions = [rule["expr"] for rule in alerts()]
    expressions += [target["expr"] for panel in panels() for target in panel["targets"]]
    selected = [
        (name, value)
        for expression in expressions
        for name, value in re.findall(r'(lectern_\w+)\{\w+!?="(\w+)"', expression)
    ]
    assert selected
    for name, value in selected:
        assert value in values[name], f"{name} never has {value}"

"""The files in deploy/: they name metrics that exist, and the real Prometheus loads the rules."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.serve.conftest import Running

from firstfault.config import ServeConfig, Settings
from firstfault.serve.server import JOBS_STOP_S

DEPLOY = Path(__file__).parents[2] / "deploy"


def _exposed(server: Running) -> set[str]:
    server.ask("What does a resident parking permit cost?")
    server.post("/search", {"question": "market"})
    text = server.http.get("/metrics").text
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) | set(
        re.findall(r"^(\w+)", text, re.MULTILINE)
    )


def _used(text: str) -> set[str]:
    return {re.sub(r"_bucket$", "", name) for name in re.findall(r"firstfault_\w+", text)}


def test_alerts_and_panels_name_metrics_that_exist(quoting: Running) -> None:
    exposed = _exposed(quoting)
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    alerts = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    panels = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    missing = {name for name in _used(alerts + panels) if name not in exposed}
    assert not missing


def test_every_alert_says_what_to_do() -> None:
    rules = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["annotations"]["action"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not installed")
def test_prometheus_loads_the_rules(tmp_path: Path) -> None:
    for name in ("alerts.yml", "prometheus.yml"):
        shutil.copy(DEPLOY / name, tmp_path)
    (tmp_path / "prometheus.key").write_text("key")
    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"{len(yaml.safe_load((DEPLOY / 'alerts.yml').read_text())['groups'][0]['rules'])} rules found"
        in done.stdout
    )


def _commands() -> dict[str, list[str]]:
    """Where a file in deploy/ runs `firstfault` → the arguments."""
    texts = {path.name: path.read_text() for path in DEPLOY.iterdir()}
    (container,) = [
        document["spec"]["template"]["spec"]["containers"][0]
        for document in yaml.safe_load_all(texts["kubernetes.yaml"])
        if document["kind"] == "StatefulSet"
    ]
    (pod,) = re.findall(r"--overrides='(.*?)'", texts["kubernetes.yaml"].replace("\n#", ""), re.DOTALL)
    found = {
        "Dockerfile": json.loads(re.findall(r"^CMD (.*)$", texts["Dockerfile"], re.MULTILINE)[-1]),
        "kubernetes.yaml": container["args"],
        "kubernetes.yaml, keys": json.loads(pod)["spec"]["containers"][0]["command"],
        "firstfault.service": re.findall(r"^ExecStart=(.*)$", texts["firstfault.service"], re.MULTILINE)[
            0
        ].split(),
    }
    comments = texts["compose.yaml"] + texts["Dockerfile"]
    for number, line in enumerate(re.findall(r" firstfault (firstfault [^>\n]*)", comments)):
        found[f"comment {number}"] = line.split()
    assert len(found) == 7
    return found


@pytest.mark.parametrize(("where", "arguments"), _commands().items())
def test_what_is_run_are_commands_that_exist(where: str, arguments: list[str]) -> None:
    import typer

    from firstfault.cli.root import app

    assert arguments[0].endswith("firstfault"), where
    command, given = typer.main.get_command(app), arguments[1:]
    while True:
        context = command.make_context(command.name, list(given))  # says what it does not know
        if not hasattr(command, "resolve_command"):
            return
        rest = [*context._protected_args, *context.args]
        _, command, given = command.resolve_command(context, rest)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "firstfault.service"
    text = (DEPLOY / "firstfault.service").read_text()
    unit.write_text(text.replace("/opt/firstfault/bin/firstfault", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert not [line for line in done.stderr.splitlines() if unit.name in line], done.stderr


def test_manifests_agree_with_each_other() -> None:
    """Volumes, ports, grace and the metrics that are scraped, where two files speak of them."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    mounted = [volume.split(":") for service in services.values() for volume in service["volumes"]]
    own = {source.removeprefix("./") for source, *_ in mounted if source.startswith("./")}
    made = {"firstfault.toml", "prometheus.key"}  # by the commands at the top of the file
    assert own - made == {path.name for path in DEPLOY.iterdir()} & own
    port = ServeConfig().port
    assert services["firstfault"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    documents = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
    pod = documents["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert pod["terminationGracePeriodSeconds"] > ServeConfig().shutdown_s + 2 * JOBS_STOP_S
    grace = int(services["firstfault"]["stop_grace_period"].removesuffix("s"))
    assert grace >= ServeConfig().shutdown_s + 2 * JOBS_STOP_S
    settings = tomllib.loads(documents["ConfigMap"]["data"]["firstfault.toml"])
    assert Settings.model_validate(settings).serve.concurrency == 8
    paths = {probe["httpGet"]["path"] for name, probe in container.items() if name.endswith("Probe")}
    assert paths == {"/healthz", "/readyz"}
    targets = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"]
    assert targets == [{"targets": [f"firstfault:{port}"]}]

"""The files in deploy/: they name metrics that exist, and the real Prometheus loads the rules."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.serve.conftest import Running

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


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml"])
def test_manifests_are_yaml(name: str) -> None:
    assert all(yaml.safe_load_all((DEPLOY / name).read_text()))

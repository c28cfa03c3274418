"""The cluster files by Ray's own schema, and what they ask of EC2 by botocore's model of it. No network, no account."""

import json
import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from study.spec import load

ROOT = Path(__file__).parents[2]
AWS, ONPREM = "cluster.yaml", "cluster-onprem.yaml"


def read(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return config


def commands(config: dict[str, Any]) -> str:
    kinds = ("setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return "\n".join(line for kind in kinds for line in config.get(f"{kind}_commands", []))


@pytest.mark.parametrize("name", [AWS, ONPREM])
def test_ray_takes_the_file(name: str) -> None:
    validate_config(prepare_config(read(name)))


@pytest.mark.parametrize("name", [AWS, ONPREM])
def test_ray_would_notice_a_wrong_key(name: str) -> None:
    with pytest.raises(Exception, match="idle_timeout"):
        validate_config(prepare_config(read(name) | {"idle_timeout_hours": 1}))


@pytest.mark.parametrize("name", [AWS, ONPREM])
def test_nodes_run_pinned_versions_with_a_token_and_no_open_dashboard(name: str) -> None:
    config = prepare_config(read(name))  # with what Ray adds by itself
    text = commands(config)
    assert "ray-wheels" not in text  # of nightly builds
    assert "0.0.0.0" not in text
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    assert f"ray[default]=={pinned['ray']}" in text
    assert "--constraint constraints.txt --editable '.[gpu,aws]'" in text
    assert "--dashboard-host=127.0.0.1" in config["head_start_ray_commands"][-1]
    assert "RAY_AUTH_MODE=token" in text
    assert config["file_mounts"]["~/.ray/auth_token"].endswith("/.ray/auth_token")
    for line in (*config["head_start_ray_commands"], *config["worker_start_ray_commands"]):
        assert "\n" not in line.strip()  # a folded command must not fall apart
        assert line.count("'") % 2 == 0


def test_all_that_nodes_install_by_name_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *(each for extra in ("gpu", "aws") for each in project["optional-dependencies"][extra]),
    ]
    pinned = {
        line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    }
    assert {re.split(r"[^A-Za-z0-9-]", each)[0].lower() for each in asked} <= pinned


@pytest.mark.parametrize("name", [AWS, ONPREM])
def test_no_secret_is_in_the_file(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret|BEGIN .*PRIVATE KEY|apiKey \S{8}|[0-9a-f]{32}", text)
    assert "IONQ_API_KEY=$(cat ~/.ionq_api_key)" in text  # from the head's own files


def test_spot_workers_from_none_to_the_maximum() -> None:
    config = read(AWS)
    kinds = config["available_node_types"]
    assert kinds["head"]["resources"]["ionq_qpu"] == 1
    assert kinds["head"]["resources"]["CPU"] == 0
    assert kinds["gpu"]["min_workers"] == 0
    assert kinds["gpu"]["max_workers"] == config["max_workers"]
    assert kinds["gpu"]["node_config"]["InstanceMarketOptions"]["MarketType"] == "spot"
    assert "InstanceMarketOptions" not in kinds["head"]["node_config"]
    assert config["provider"]["cache_stopped_nodes"] is False
    assert 1 <= config["idle_timeout_minutes"] <= 30


def test_a_worker_holds_the_trials_of_the_papers_studies() -> None:
    from study.nodes import Node, slots

    offered = read(AWS)["available_node_types"]["gpu"]["resources"]
    for name in ("ferrite", "bainite"):
        resources = load(ROOT / f"search_spaces/{name}.yaml").resources
        assert slots(resources, [Node(offered["CPU"], offered["GPU"])]) == int(1 / resources.gpu)


def wrong(value: Any, shape: Any, where: str = "") -> Iterator[str]:
    """What the model of a request does not allow; botocore itself lets unknown words of a list pass."""
    if shape.type_name == "structure":
        for key, each in value.items():
            if key not in shape.members:
                yield f"{where}.{key}: unknown"
            else:
                yield from wrong(each, shape.members[key], f"{where}.{key}")
    elif shape.type_name == "list":
        for each in value:
            yield from wrong(each, shape.member, f"{where}[]")
    elif getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{where}: {value} is not one of its words"


def test_ec2_takes_what_the_nodes_ask_for() -> None:
    loaders = pytest.importorskip("botocore.loaders")
    model = pytest.importorskip("botocore.model")
    validate = pytest.importorskip("botocore.validate")
    ec2 = model.ServiceModel(loaders.Loader().load_service_model("ec2", "service-2"))
    shape = ec2.operation_model("RunInstances").input_shape
    for name, kind in read(AWS)["available_node_types"].items():
        request = {**kind["node_config"], "MinCount": 1, "MaxCount": 1}
        assert not list(wrong(request, shape, name))
        assert not validate.ParamValidator().validate(request, shape).has_errors()
    typed_wrong = {"InstanceType": "g5.2xlrge", "ImageID": "ami-1", "InstanceMarketOptions": {"MarketType": "spott"}}
    assert len(list(wrong(typed_wrong, shape))) == 3


def test_ray_opens_no_door_to_the_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `ray up` prepares in an account, here a pretended one: no security group of its own, no rule for all."""
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setenv("HOME", str(tmp_path))  # the key pair goes to ~/.ssh
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    (tmp_path / ".ssh").mkdir()
    with moto.mock_aws():
        from ray.autoscaler._private.aws.config import bootstrap_aws
        from ray.autoscaler._private.aws.utils import resource_cache

        resource_cache.cache_clear()
        config = prepare_config(read(AWS))
        ec2 = boto3.resource("ec2", region_name=config["provider"]["region"])
        vpc = next(iter(ec2.vpcs.all()))
        mine = ec2.create_security_group(GroupName="mine", Description="of docs/cluster.md", VpcId=vpc.id)
        ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/32"}]}
        mine.authorize_ingress(IpPermissions=[ssh])
        for kind in config["available_node_types"].values():
            kind["node_config"]["SecurityGroupIds"] = [mine.id]
        before = {group.id for group in ec2.security_groups.all()}
        ready = bootstrap_aws(config)
        assert {group.id for group in ec2.security_groups.all()} == before
        for kind in ready["available_node_types"].values():
            assert kind["node_config"]["SecurityGroupIds"] == [mine.id]
            assert kind["node_config"]["ImageId"] == "ami-0123456789abcdef0"  # not one of Ray's own
            assert kind["node_config"]["IamInstanceProfile"]["Name"].startswith("steel-qgan-")
        mine.reload()
        allowed = [each["CidrIp"] for rule in mine.ip_permissions for each in rule["IpRanges"]]
        assert allowed == ["203.0.113.7/32"]
        key = Path(ready["auth"]["ssh_private_key"]).expanduser()
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_pages_roles_may_do_what_is_needed_and_no_more(tmp_path: Path) -> None:
    """The page's own commands, with an `aws` that writes down what it is asked."""
    (block,) = re.findall(r"```sh\n(bucket=.*?)```", (ROOT / "docs/cluster.md").read_text(), re.DOTALL)
    note = (
        r"""aws() { for each; do printf '%s\0' "$each"; done >> asked; printf '\n\0' >> asked; echo arn:of:worker; }"""
    )
    subprocess.run(["bash", "-euc", f"{note}\n{block}"], cwd=tmp_path, check=True, capture_output=True)
    allowed: dict[str, list[tuple[list[str], str]]] = {"steel-qgan-head": [], "steel-qgan-worker": []}
    for asked in (tmp_path / "asked").read_text().split("\0\n\0")[:-1]:
        _, deed, *words = asked.split("\0")
        if deed == "put-role-policy":
            said = dict(zip(words[::2], words[1::2], strict=True))
            for each in json.loads(said["--policy-document"])["Statement"]:
                actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
                allowed[said["--role-name"]].append((actions, each["Resource"]))
    bucket = [
        (["s3:ListBucket"], "arn:aws:s3:::YOUR-BUCKET"),
        (["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::YOUR-BUCKET/*"),
    ]
    nodes = (["ec2:RunInstances", "ec2:TerminateInstances", "ec2:CreateTags", "ec2:Describe*"], "*")
    assert allowed["steel-qgan-worker"] == bucket
    assert allowed["steel-qgan-head"] == [*bucket, nodes, (["iam:PassRole"], "arn:of:worker")]


def test_every_blank_says_that_it_is_one() -> None:
    for name in (AWS, ONPREM):
        for line in (ROOT / name).read_text().splitlines():
            if re.search(r"0123456789abcdef0|192\.0\.2\.", line):
                assert "fill in" in line


def test_what_is_sent_with_a_job() -> None:
    from ray._private.runtime_env.packaging import _get_ignore_file  # as Ray 2.60 reads it

    left_out = _get_ignore_file(ROOT, ignore_file=".rayignore")
    assert left_out is not None
    assert left_out(ROOT / "docs")
    assert left_out(ROOT / "scans/bainite.parquet")
    assert not left_out(ROOT / "study")
    assert not left_out(ROOT / "search_spaces/smoke.yaml")

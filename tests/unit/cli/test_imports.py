"""Sites of Kadeploy 2 and 3 as they come over: what is made, and what has no counterpart."""

from pathlib import Path

import pytest

from kadeploy.inventory.v1 import cluster_pb2, environment_pb2, node_pb2
from kadeploy_cli.imports import kadeploy2, kadeploy3
from kadeploy_cli.imports.command_lines import template
from kadeploy_cli.imports.plan import GrantedRight, ImportPlan
from kadeploy_cli.terminal.failures import UsageFailure


def noted(plan: ImportPlan, *words: str) -> bool:
    return any(all(word in notice for word in words) for notice in plan.notices)


DEPLOY_CONF = """\
# of the site
deploy_user = deploy
default_target_device = sda
default_target_partition = 3
first_check_timeout = 210
last_check_timeout = 250
deployment_validity_timeout = 700
ext3_options = -b 4096 -O sparse_super
enable_nmap = 1
deploy_db_psswd = secret
kernel_param = console=tty0 console=ttyS0,38400n8
pre_install_archive = {archive}
pre_install_script = init.ash
do_fdisk_on_deploy = no
use_kexec_by_default = 1
label_deploy = vmlinuz:initrd
strange = 1
"""
DEPLOY_CMD = """\
node-1.example.org softboot ssh root@node-1.example.org -o ConnectTimeout=2 reboot
node-1.example.org hardboot ipmitool -H node-1-bmc -f /etc/bmc chassis power reset
node-1.example.org deployboot setup_pxe.pl node-1.example.org:label_deploy
node-1.example.org console conman node-1
node-2.example.org softboot ssh root@node-2.example.org -o ConnectTimeout=2 reboot
node-2.example.org hardboot ipmitool -H node-2-bmc -f /etc/bmc chassis power reset
node-2.example.org console conman node-2 | cat
gone.example.org hardboot true
"""
DUMP_2 = """\
CREATE TABLE `node` (
  `id` int(11),
  `name` varchar(30),
  `macaddr` varchar(17),
  `ipaddr` varchar(15)
);
INSERT INTO `node` VALUES (1,'node-1.example.org','02:00:00:00:00:01','10.0.0.1'),
 (2,'node-2.example.org','02:00:00:00:00:02','10.0.0.2'),(3,'node-3','02:00:00:00:00:03','10.0.0.3');
INSERT INTO disk (id,size,device) VALUES (1,80000,'sda');
INSERT INTO partition (id,pnumber,size) VALUES (1,'1',1500),(2,'2',10000),(3,'3',20000);
INSERT INTO environment (id,name,version,description,author,filebase,filesite,size,initrdpath,kernelpath,kernelparam,
  fdisktype,filesystem,siteid,optsupport,user) VALUES
 (1,'undefined',1,'','','','',0,'','','',0,'',1,'','deploy'),
 (2,'swap',1,'','','','',0,'','','',0,'',1,'','deploy'),
 (4,'empty',1,'','','','',0,'','','',0,'',1,'','deploy'),
 (5,'debian',2,'a \\'system\\'','me@x','file:/{image}','file:/{archive}',100,'/initrd.img','/vmlinuz','quiet',
  131,'ext2',1,'','deploy'),
 (6,'mine',1,'','','file://absent.tgz','',0,'','/vmlinuz','',131,'ext3',1,'','alice');
INSERT INTO deployed (envid,diskid,partid,nodeid,deployid,state) VALUES
 (2,1,1,1,0,'deployed'),(4,1,2,1,0,'deployed'),(4,1,3,1,0,'deployed'),(5,1,3,1,7,'deployed'),(6,1,3,1,5,'deployed'),
 (2,1,1,2,0,'deployed'),(4,1,2,2,0,'deployed'),(5,1,3,2,9,'error');
INSERT INTO rights (user,node,part) VALUES ('alice','node-1.example.org','sda3'),('bob','*','*');
INSERT INTO deployment (id,state) VALUES (1,'terminated'),(2,'error');
"""


@pytest.fixture
def site_2(tmp_path: Path) -> Path:
    (tmp_path / "image.tgz").write_bytes(b"image")
    (tmp_path / "pre.tgz").write_bytes(b"archive")
    archive, image = str(tmp_path / "pre.tgz"), str(tmp_path / "image.tgz")
    (tmp_path / "deploy.conf").write_text(DEPLOY_CONF.replace("{archive}", archive))
    (tmp_path / "deploy-big.conf").write_text("last_check_timeout = 600\n")
    (tmp_path / "deploy_cmd.conf").write_text(DEPLOY_CMD)
    (tmp_path / "deploy_cluster.conf").write_text("node-3 big\n")
    (tmp_path / "dump.sql").write_text(DUMP_2.replace("{image}", image).replace("{archive}", archive))
    return tmp_path


def test_a_site_of_version_2_comes_over(site_2: Path) -> None:
    plan = kadeploy2.plan(site_2, [site_2 / "dump.sql"])
    profile = plan.clusters["default"].message
    assert (profile.first_check_timeout.seconds, profile.last_check_timeout.seconds) == (210, 250)
    assert (profile.default_device, profile.default_partition) == ("sda", 3)
    assert profile.kernel_arguments == "console=tty0 console=ttyS0,38400n8"
    assert dict(profile.mkfs_options) == {"ext3": "-b 4096 -O sparse_super"}
    assert profile.boot_method == cluster_pb2.BOOT_METHOD_KEXEC
    assert (profile.preinstall.script, profile.preinstall.size_bytes) == ("init.ash", 7)
    assert not profile.partition_on_deploy
    big = plan.clusters["big"].message
    assert (big.first_check_timeout.seconds, big.last_check_timeout.seconds) == (210, 600)
    # What all nodes of a cluster have alike is the cluster's; the rest is the node's own.
    assert list(profile.commands.hard_reboot.arguments)[:3] == ["ipmitool", "-H", "{node_short}-bmc"]
    nodes = plan.nodes
    assert list(nodes) == ["node-1.example.org", "node-2.example.org", "node-3"]
    assert nodes["node-3"].cluster == "big"
    first = nodes["node-1.example.org"].disks[0]
    assert [(each.number, each.environment, each.size_bytes >> 20) for each in first.partitions] == [
        (1, "swap", 1500),
        (2, "empty", 10000),
        (3, "debian", 20000),
    ]
    assert first.partitions[0].role == node_pb2.PARTITION_ROLE_SWAP
    assert nodes["node-2.example.org"].disks[0].partitions[2].environment == "undefined"
    (debian,) = plan.environments
    assert (debian.name, debian.version, debian.owner, debian.description) == ("debian", 2, "deploy", "a 'system'")
    assert debian.visibility == environment_pb2.VISIBILITY_PUBLIC
    assert debian.image.uri == f"file://{site_2}/image.tgz"
    assert plan.rights == [GrantedRight("alice", "node-1.example.org", "sda3"), GrantedRight("bob", "*", "*")]


def test_systems_whose_node_or_environment_is_not_imported_are_left_out_and_said(site_2: Path) -> None:
    plan = kadeploy2.plan(site_2, [site_2 / "dump.sql"])
    kept = list(plan.installed)
    assert kept
    plan.installed += [kept[0]._replace(node="gone.example.org"), kept[0]._replace(environment="absent", version=4)]
    plan.leave_out_unknown_systems()
    assert plan.installed == kept
    assert noted(plan, f"installed {kept[0].environment} version {kept[0].version}", "1 partitions")
    assert noted(plan, "installed absent version 4", "1 partitions")


def test_commands_of_version_2_become_templates(site_2: Path) -> None:
    plan = kadeploy2.plan(site_2, [site_2 / "dump.sql"])
    commands = plan.clusters["default"].message.commands
    assert list(commands.soft_reboot.arguments) == ["ssh", "root@{name}", "-o", "ConnectTimeout=2", "reboot"]
    assert not plan.nodes["node-2.example.org"].commands.hard_reboot.arguments
    assert list(plan.nodes["node-1.example.org"].commands.console.arguments) == ["conman", "{node_short}"]
    assert not plan.nodes["node-2.example.org"].commands.console.arguments
    assert noted(plan, "deploy_cmd.conf, line 7", "needs a shell")
    assert noted(plan, "gone.example.org", "not among the nodes")


def test_what_version_2_has_and_we_do_not_is_said(site_2: Path) -> None:
    plan = kadeploy2.plan(site_2, [site_2 / "dump.sql"])
    assert noted(plan, "deploy.conf, line 7: deployment_validity_timeout", "a lease is renewed")
    assert noted(plan, "label_deploy", "kadeploy-deployenv")
    assert noted(plan, "strange", "is not known")
    assert noted(plan, "environment mine version 1 of alice", "/absent.tgz")
    assert noted(plan, "deployment", "history of 2 deployments")
    assert noted(plan, "deployed", "1 partitions are left out")
    assert noted(plan, "node-3", "nothing is said of its disk")
    assert not noted(plan, "secret")
    assert len(plan.notices) == len(set(plan.notices))


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("deploy.conf", "first_check_timeout 3\n", "deploy.conf, line 1"),
        ("deploy.conf", "a = 1\na = 2\n", "line 2: a stands on line 1"),
        ("deploy_cluster.conf", "node-3\n", "deploy_cluster.conf, line 1"),
        ("deploy_cmd.conf", "node-3 console\n", "deploy_cmd.conf, line 1"),
    ],
)
def test_a_file_of_version_2_that_is_none_is_refused(site_2: Path, file: str, text: str, problem: str) -> None:
    (site_2 / file).write_text(text)
    with pytest.raises(UsageFailure, match=problem):
        kadeploy2.plan(site_2, [site_2 / "dump.sql"])


SERVER = """\
database: {kind: mysql, host: localhost, name: deploy3, login: deploy, passwd: secret}
rights: {kind: db, almighty_users: "root, admin", purge_deployment_timer: 900}
windows:
  reboot: {size: 30, sleep_time: 5}
  check: {size: 50}
external:
  default_connector: ssh -l root -o BatchMode=yes
  taktuk: {tree_arity: 0}
  mkfs:
    - {fstype: ext4, args: -b 4096}
odd: 1
"""
CLUSTERS = """\
clusters:
  - name: graphene
    prefix: graphene
    conf_file: graphene.conf
    nodes:
      - {name: "graphene-[1-3].example.org", address: "10.0.0.[1-3]"}
"""
GRAPHENE = """\
partitioning:
  block_device: /dev/sda
  script: /etc/kadeploy3/parted.sh
  partitions: {swap: 1, prod: 2, deploy: 3, tmp: 5}
boot:
  sleep_time_before_ping: 20
  kernels:
    user: {params: console=ttyS0}
    deploy: {vmlinuz: v, initrd: i, params: quiet}
remoteops:
  reboot:
    - {name: soft, cmd: DEFAULT_CONNECTOR root@HOSTNAME_FQDN reboot}
    - {name: hard, cmd: ipmitool -H HOSTNAME_SHORT-bmc chassis power reset}
    - {name: very_hard, cmd: pdu GROUP_SHORT, group: /etc/groups}
  power_off:
    - {name: soft, cmd: ssh HOSTNAME_FQDN halt}
    - {name: hard, cmd: ipmitool -H HOSTNAME_SHORT-bmc chassis power off}
  console:
    - {cmd: conman HOSTNAME_SHORT}
automata:
  macrosteps:
    BootNewEnv:
      - {type: Kexec, timeout: 100}
timeouts: {reboot: 150, kexec: 60}
localops: {broadcastenv: {cmd: x}}
own: 1
"""
COMMAND = """\
graphene-2.example.org:
  console: telnet switch 2002
  reboot_hard: snmpset switch | true
  blink: 1
nobody.example.org: {console: cat}
"""
DUMP_3 = """\
INSERT INTO environments (id,name,version,description,author,tarball,preinstall,postinstall,
 hypervisor,hypervisor_params,initrd,kernel,kernel_params,fdisk_type,filesystem,user,environment_kind,visibility,demolishing_env,multipart,options)
VALUES (1,'debian-min',3,'','a@b','server://{image}|tgz|0123','',
 'server://{archive}|tgz|0123|traitement.ash /rambin',
 NULL,NULL,'/initrd.img','/vmlinuz','','83','ext4','deploy','linux','public',0,0,''),
 (2,'old',1,'','','server:///absent.tgz|tgz|0','','','','','','/vmlinuz','','83','ext3','alice','linux','private',0,0,''),
 (3,'odd',1,'','','x|zip|0','','','','','','','','83','ext3','alice','linux','private',0,0,'');
INSERT INTO rights (user,node,part) VALUES ('alice','graphene-1.example.org','/dev/sda3'),('bob','*','*');
INSERT INTO nodes (hostname,state,env_id,date,user) VALUES ('graphene-1.example.org','deployed',1,0,'alice'),
 ('graphene-2.example.org','prod_env',1,0,'alice');
"""


@pytest.fixture
def site_3(tmp_path: Path) -> Path:
    (tmp_path / "image.tgz").write_bytes(b"image")
    (tmp_path / "post.tgz").write_bytes(b"archive")
    for name, text in (
        ("server.conf", SERVER),
        ("clusters.conf", CLUSTERS),
        ("graphene.conf", GRAPHENE),
        ("command.conf", COMMAND),
        ("ethers", "# macs\ngraphene-1 02:00:00:00:00:01\n02:00:00:00:00:02 graphene-2.example.org\n"),
        ("dump.sql", DUMP_3.replace("{image}", f"{tmp_path}/image.tgz").replace("{archive}", f"{tmp_path}/post.tgz")),
    ):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_site_of_version_3_comes_over(site_3: Path) -> None:
    plan = kadeploy3.plan(site_3, [site_3 / "dump.sql"], addresses=site_3 / "ethers")
    profile = plan.clusters["graphene"].message
    assert (profile.default_device, profile.default_partition, profile.kernel_arguments) == ("sda", 3, "console=ttyS0")
    assert profile.deployment_kernel_arguments == "quiet"
    assert (profile.reboot_window.size, profile.reboot_window.pause.seconds) == (30, 5)
    assert dict(profile.mkfs_options) == {"ext4": "-b 4096"}
    assert (profile.first_check_timeout.seconds, profile.last_check_timeout.seconds) == (150, 150)
    assert profile.boot_method == cluster_pb2.BOOT_METHOD_KEXEC
    commands = profile.commands
    assert list(commands.soft_reboot.arguments) == ["ssh", "-l", "root", "-o", "BatchMode=yes", "root@{name}", "reboot"]
    assert list(commands.hard_reboot.arguments) == ["ipmitool", "-H", "{node_short}-bmc", "chassis", "power", "reset"]
    assert list(commands.power_off.arguments)[-1] == "off"
    assert list(commands.console.arguments) == ["conman", "{node_short}"]
    assert not commands.very_hard_reboot.arguments
    assert [(node.name, node.ip_address, node.mac_address) for node in plan.nodes.values()] == [
        ("graphene-1.example.org", "10.0.0.1", "02:00:00:00:00:01"),
        ("graphene-2.example.org", "10.0.0.2", "02:00:00:00:00:02"),
    ]
    assert list(plan.nodes["graphene-2.example.org"].commands.console.arguments) == ["telnet", "switch", "2002"]
    (debian,) = plan.environments
    assert (debian.name, debian.version, debian.owner) == ("debian-min", 3, "deploy")
    assert (debian.image.uri, len(debian.postinstalls)) == (f"file://{site_3}/image.tgz", 1)
    assert plan.rights == [GrantedRight("alice", "graphene-1.example.org", "sda3"), GrantedRight("bob", "*", "*")]


def test_what_version_3_deployed_last_is_declared(site_3: Path) -> None:
    plan = kadeploy3.plan(site_3, [site_3 / "dump.sql"], addresses=site_3 / "ethers")
    assert plan.installed == [("debian-min", 3, "deploy", "", 0, "graphene-1.example.org")]


def test_what_version_3_has_and_we_do_not_is_said(site_3: Path) -> None:
    plan = kadeploy3.plan(site_3, [site_3 / "dump.sql"], addresses=site_3 / "ethers")
    for words in (
        ("server.conf, line 1: database", "settings of the services"),
        ("server.conf", "rights", "administrators"),
        ("windows.check",),
        ("external.taktuk",),
        ("server.conf, line 11: odd", "is not known"),
        ("graphene.conf", "partitioning.script", "sfdisk"),
        ("partitioning.partitions.swap",),
        ("boot.kernels.deploy.vmlinuz", "kadeploy-deployenv"),
        ("remoteops.reboot", "group of nodes"),
        ("automata.BootNewEnv",),
        ("timeouts.kexec",),
        ("localops",),
        ("graphene.conf, line", ": own", "is not known"),
        ("1 nodes from graphene-3.example.org on are left out", "--addresses"),
        ("graphene-2.example.org.reboot_hard", "needs a shell"),
        ("graphene-2.example.org.blink",),
        ("nobody.example.org", "not among the nodes"),
        ("environment old version 1 of alice", "/absent.tgz"),
        ("environment odd version 1 of alice", "zip"),
        ("node graphene-2.example.org", "'prod_env'", "names no recorded environment"),
        ("on which partition a system is",),
    ):
        assert noted(plan, *words), (words, plan.notices)
    assert not noted(plan, "secret")


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("clusters.conf", "clusters:\n  - {name: a, nodes: [{name: 'a[1-2]', address: '10.0.0.[1-3]'}]}\n", "line 2"),
        ("clusters.conf", "- a\n", "a mapping"),
        ("ethers", "a b\n", "ethers, line 1"),
        ("graphene.conf", "partitioning: {partitions: {deploy: x}}\n", "a whole number"),
    ],
)
def test_a_file_of_version_3_that_is_none_is_refused(site_3: Path, file: str, text: str, problem: str) -> None:
    (site_3 / file).write_text(text)
    with pytest.raises(UsageFailure, match=problem):
        kadeploy3.plan(site_3, [], addresses=site_3 / "ethers")


@pytest.mark.parametrize("line", ["a | b", "a; b", "a > f", "a $(b)", "a `b`", "a $X", "a 'b", "", "a {b}"])
def test_a_line_that_only_a_shell_reads_is_no_template(line: str) -> None:
    with pytest.raises(UsageFailure):
        template(line, {})


def test_the_longest_name_is_replaced_first_and_no_part_of_another() -> None:
    places = {"n1.x": "{name}", "n1": "{node_short}"}
    assert template("a n1.x n1 n10 n1-bmc x.n1 root@n1.x", places) == [
        *("a", "{name}", "{node_short}", "n10", "{node_short}-bmc", "x.{node_short}", "root@{name}"),
    ]

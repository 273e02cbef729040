//! Redis' primary dies, and Sentinel makes its replica the primary: no job is lost.

use std::fs::{File, write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::super::support::{SOON, Stage, try_run, wait_for};

const JOBS: u64 = 1500;
/// Where the sentinels listen: on the node, where pods reach them.
const NODE: &str = "172.30.0.1";
const PORTS: [u16; 3] = [26379, 26380, 26381];

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_failover_of_sentinel_loses_no_job_and_restarts_no_pod() {
    let stage = Stage::new("sentinel", &[]);
    let primary = redis_address(&stage, "redis");
    add_replica(&stage, &primary);
    let replica = redis_address(&stage, "replica");
    stage.wait("the replica follows", SOON, || {
        replica_says(&stage, &["role"]).contains("connected")
    });
    let _sentinels = Sentinels::start(&primary);
    Sentinels::wait_complete();

    let addresses = PORTS.map(|port| format!("{NODE}:{port}")).join(",");
    let pipeline = format!(
        "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: events}}\nspec:
  queue: {{redis: {{url: 'redis-sentinel://{addresses}/events/0'}}}}
  workspace: {{endpoint: 'http://simulator', rateLimit: {{requestsPerSecond: 20}}}}
  delivery: {{mode: Single}}
  autoscaling: {{minReplicas: 2, maxReplicas: 2}}
"
    );
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(&pipeline));
    assert!(applied.status.success(), "{applied:?}");
    stage.wait_ready();
    stage.produce(u32::try_from(JOBS).expect("few"));
    stage.wait("some jobs are done", SOON, || {
        stage.finished("completed") > 50
    });
    let before = stage.lives();
    // At once, and for good.
    stage.kubectl(&["scale", "deployment", "redis", "--replicas=0"]);
    stage.kubectl(&[
        "delete",
        "pods",
        "-l",
        "app=redis",
        "--force",
        "--grace-period=0",
    ]);
    stage.wait("the replica is the primary", SOON, || {
        Sentinels::primary() == replica
    });
    stage.wait("every job is delivered", SOON, || {
        finished(&stage, "completed") == JOBS
    });
    assert_eq!(finished(&stage, "failed"), 0);
    stage.wait("the depth is known", SOON, || {
        stage.condition("MetricsAvailable").0 == "True" && stage.condition("Ready").0 == "True"
    });
    assert_eq!(stage.lives(), before, "a pod was restarted");
    let seen = stage.simulator("state");
    assert_eq!(seen["events"], JOBS / 2, "each event counts once: {seen}");
}

fn redis_address(stage: &Stage, app: &str) -> String {
    let pods = stage.list("pods", &format!("app={app}"));
    pods[0]["status"]["podIP"]
        .as_str()
        .expect("an address")
        .to_owned()
}

/// The demo's Redis once more, as a replica of `primary`.
fn add_replica(stage: &Stage, primary: &str) {
    let manifest = std::fs::read_to_string("examples/demo/redis.yaml").expect("the manifest");
    let deployment = manifest.split("\n---").next().expect("a Deployment");
    let replica = deployment
        .replace("name: redis}", "name: replica}")
        .replace("app: redis}", "app: replica}")
        .replace(
            "args: [",
            &format!("args: [--replicaof, '{primary} 6379', "),
        );
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(&replica));
    assert!(applied.status.success(), "{applied:?}");
    stage.kubectl(&["rollout", "status", "deployment/replica", "--timeout=120s"]);
}

fn replica_says(stage: &Stage, arguments: &[&str]) -> String {
    let exec = ["exec", "deployment/replica", "--", "redis-cli"];
    stage
        .kubectl(&[&exec, arguments].concat())
        .trim()
        .to_owned()
}

fn finished(stage: &Stage, set: &str) -> u64 {
    let key = format!("bull:cio-events:{set}");
    replica_says(stage, &["zcard", &key])
        .parse()
        .expect("a number")
}

/// Three sentinels on the node, ended with the value. They write their own configuration, which
/// in a pod would need a shell.
struct Sentinels {
    children: Vec<Child>,
    _folder: TempDir,
}

impl Sentinels {
    fn start(primary: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let start = |port: u16| {
            let path = folder.path().join(format!("{port}.conf"));
            let text = format!(
                "port {port}\nbind {NODE} 127.0.0.1\nprotected-mode no\n\
                 sentinel announce-ip {NODE}\n\
                 sentinel monitor events {primary} 6379 2\n\
                 sentinel down-after-milliseconds events 3000\n\
                 sentinel failover-timeout events 10000\n"
            );
            write(&path, text).expect("written");
            let log = File::create(folder.path().join(format!("{port}.log"))).expect("a log");
            Command::new("redis-server")
                .arg(&path)
                .arg("--sentinel")
                .stdout(Stdio::from(log))
                .spawn()
                .expect("redis-server runs")
        };
        let children = PORTS.map(start).into();
        Self {
            children,
            _folder: folder,
        }
    }

    /// Each knows the two others and the replica: without that there is no failover.
    fn wait_complete() {
        let complete = |port: &u16| {
            let about = Self::ask(*port, &["sentinel", "master", "events"]);
            let fields: Vec<_> = about.lines().collect();
            let field = |name: &str| {
                let found = fields.iter().position(|field| *field == name);
                found.and_then(|at| fields.get(at + 1)).copied()
            };
            field("num-slaves") == Some("1") && field("num-other-sentinels") == Some("2")
        };
        wait_for(
            "three sentinels know each other",
            Duration::from_mins(1),
            || Self::ask(PORTS[0], &["sentinel", "master", "events"]),
            || PORTS.iter().all(complete),
        );
    }

    fn primary() -> String {
        let address = ["sentinel", "get-master-addr-by-name", "events"];
        let answer = Self::ask(PORTS[0], &address);
        answer.lines().next().unwrap_or_default().to_owned()
    }

    fn ask(port: u16, arguments: &[&str]) -> String {
        let port = port.to_string();
        let output = try_run(
            "redis-cli",
            &[&["-h", NODE, "-p", &port], arguments].concat(),
            None,
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

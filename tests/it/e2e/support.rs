//! What the tests share: a chart that is installed once, and a stage for each test.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{scope, sleep};
use std::time::Duration;

use serde_json::Value;

/// How long anything may take that is not about the HPA's windows.
pub(super) const SOON: Duration = Duration::from_mins(4);

/// Where operator and adapter are.
pub(super) const SYSTEM: &str = "cio-system";

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a program in the project's folder; panics with its words when it fails.
pub(super) fn run(program: &str, arguments: &[&str]) -> String {
    let output = try_run(program, arguments, None);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs kubectl in the namespace of operator and adapter.
pub(super) fn system(arguments: &[&str]) -> String {
    run("kubectl", &[&["--namespace", SYSTEM], arguments].concat())
}

/// Runs a program that may fail, with `input` on its standard input.
pub(super) fn try_run(program: &str, arguments: &[&str], input: Option<&str>) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(ROOT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}; run: make test-e2e"));
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(input.unwrap_or_default().as_bytes())
        .expect("written");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// This version's chart.
pub(super) const CHART: &str = "charts/cio-operator";

static INSTALLED: OnceLock<()> = OnceLock::new();

/// Installs the chart, once for all tests.
pub(super) fn installed() {
    INSTALLED.get_or_init(|| install(CHART, &[]));
}

/// Installs the chart with these values, whatever was installed before; only for tests that run
/// with no other beside them.
pub(super) fn installed_as(values: &str) {
    INSTALLED.get_or_init(|| ());
    install(CHART, &["--set", values]);
}

/// Installs a chart with the image that was built, or upgrades what is installed to it.
pub(super) fn install(chart: &str, arguments: &[&str]) {
    // Whatever the chart installs has to run under the Pod Security Standard "restricted".
    try_run("kubectl", &["create", "namespace", "cio-system"], None);
    let label = "pod-security.kubernetes.io/enforce=restricted";
    let labelled = ["label", "namespace", "cio-system", label, "--overwrite"];
    run("kubectl", &labelled);
    let output = try_install(chart, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{chart} {arguments:?}: {error}");
}

/// The same, where Helm may refuse.
pub(super) fn try_install(chart: &str, arguments: &[&str]) -> Output {
    let release = [
        "upgrade",
        "--install",
        "cio",
        chart,
        "--namespace",
        "cio-system",
    ];
    let how = ["--set", "image.tag=dev", "--wait", "--timeout", "3m"];
    try_run("helm", &[&release[..], &how, arguments].concat(), None)
}

/// How many questions there were, and what those that failed were told.
#[derive(Debug, Default)]
struct Asked {
    count: u32,
    failed: Vec<String>,
}

/// Says "done" when it goes, also when the test fails: a thread that waits for it ends.
pub(super) struct Ends<'a>(pub(super) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Keeps other tests from ending an operator or looking at which one leads, while it is kept.
pub(super) fn operator_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same for adapters and their certificate.
pub(super) fn adapter_alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SIGKILL for the process of a pod's first container, past the kubelet, which would ask it to end
/// first.
pub(super) fn kill_container(pod: &Value) {
    let socket =
        std::env::var("CIO_E2E_CONTAINERD").expect("the containerd socket; run: make test-e2e");
    let id = pod["status"]["containerStatuses"][0]["containerID"]
        .as_str()
        .expect("a container");
    let id = id.trim_start_matches("containerd://");
    let kill = ["tasks", "kill", "-s", "SIGKILL", id];
    run(
        "ctr",
        &[&["-a", &socket, "-n", "k8s.io"], &kill[..]].concat(),
    );
}

/// Waits until `reached` says yes; panics after `limit`, with what `picture` sees then.
pub(super) fn wait_for(
    what: &str,
    limit: Duration,
    picture: impl Fn() -> String,
    mut reached: impl FnMut() -> bool,
) {
    for _ in 0..limit.as_secs() {
        if reached() {
            return;
        }
        sleep(Duration::from_secs(1));
    }
    panic!("{what}: not within {limit:?}\n{}", picture());
}

/// A namespace with a Redis and a simulator in it, gone when the test ends well.
pub(super) struct Stage {
    pub(super) namespace: String,
}

impl Stage {
    /// A stage whose simulator gets `simulator` as further arguments.
    pub(super) fn new(name: &str, simulator: &[&str]) -> Self {
        let stage = Self::empty(name);
        for manifest in ["redis", "simulator"] {
            stage.kubectl(&[
                "apply",
                "-f",
                &format!("{ROOT}/examples/demo/{manifest}.yaml"),
            ]);
        }
        if !simulator.is_empty() {
            let arguments: Vec<String> =
                simulator.iter().map(|argument| format!(r#"{{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"{argument}"}}"#)).collect();
            let patch = format!("[{}]", arguments.join(","));
            stage.kubectl(&[
                "patch",
                "deployment",
                "simulator",
                "--type=json",
                "-p",
                &patch,
            ]);
        }
        stage.kubectl(&["rollout", "status", "deployment", "--timeout=120s"]);
        stage
    }

    /// A namespace without anything, which enforces the Pod Security Standard "restricted".
    pub(super) fn empty(name: &str) -> Self {
        installed();
        let namespace = format!("e2e-{name}");
        try_run(
            "kubectl",
            &["delete", "namespace", &namespace, "--ignore-not-found"],
            None,
        );
        run("kubectl", &["create", "namespace", &namespace]);
        let label = "pod-security.kubernetes.io/enforce=restricted";
        run("kubectl", &["label", "namespace", &namespace, label]);
        Self { namespace }
    }

    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        run(
            "kubectl",
            &[&["--namespace", &self.namespace], arguments].concat(),
        )
    }

    /// Changes the pipeline.
    pub(super) fn patch(&self, patch: &str) {
        self.kubectl(&["patch", "ciop", "events", "--type=merge", "-p", patch]);
    }

    pub(super) fn try_kubectl(&self, arguments: &[&str], input: Option<&str>) -> Output {
        try_run(
            "kubectl",
            &[&["--namespace", &self.namespace], arguments].concat(),
            input,
        )
    }

    /// The object as JSON, `Null` where there is none.
    pub(super) fn get(&self, kind: &str, name: &str) -> Value {
        let text = self.kubectl(&["get", kind, name, "--ignore-not-found", "-o", "json"]);
        if text.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).expect("JSON")
        }
    }

    /// The items of a list as JSON.
    pub(super) fn list(&self, kind: &str, selector: &str) -> Vec<Value> {
        let text = self.kubectl(&["get", kind, "-l", selector, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["items"].as_array().expect("items").clone()
    }

    /// Applies the pipeline `events` with this spec, in YAML's flow style, beside where things are.
    pub(super) fn pipeline(&self, spec: &str) {
        let applied = self.try_kubectl(&["apply", "-f", "-"], Some(&manifest(spec)));
        assert!(
            applied.status.success(),
            "{}",
            String::from_utf8_lossy(&applied.stderr)
        );
    }

    /// The status of a condition of `events`: (status, reason, message).
    pub(super) fn condition(&self, kind: &str) -> (String, String, String) {
        let pipeline = self.get("ciopipeline", "events");
        let conditions = pipeline["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let found = conditions
            .iter()
            .find(|condition| condition["type"] == kind);
        let field = |name: &str| {
            found
                .and_then(|found| found[name].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        (field("status"), field("reason"), field("message"))
    }

    pub(super) fn wait(&self, what: &str, limit: Duration, reached: impl FnMut() -> bool) {
        wait_for(what, limit, || self.picture(), reached);
    }

    pub(super) fn wait_ready(&self) {
        self.wait("the pipeline is ready", SOON, || {
            self.condition("Ready").0 == "True"
        });
    }

    /// `spec.replicas` of the workers.
    pub(super) fn replicas(&self) -> i64 {
        self.get("deployment", "events-worker")["spec"]["replicas"]
            .as_i64()
            .unwrap_or(-1)
    }

    /// The workers' pods that run and are not leaving.
    pub(super) fn pods(&self) -> Vec<Value> {
        let mut pods = self.list("pods", "cio.dev/pipeline=events");
        pods.retain(|pod| pod["metadata"].get("deletionTimestamp").is_none());
        pods
    }

    /// Who the workers' pods are, and how often their containers were restarted.
    pub(super) fn lives(&self) -> Vec<String> {
        let life = |pod: &Value| {
            let status = &pod["status"];
            let restarts = ["containerStatuses", "initContainerStatuses"].map(|kind| {
                let containers = status[kind].as_array().cloned().unwrap_or_default();
                let counts = containers.iter().map(|it| it["restartCount"].to_string());
                counts.collect::<Vec<_>>().join(" ")
            });
            format!("{} {restarts:?}", pod["metadata"]["uid"])
        };
        let mut lives: Vec<_> = self.pods().iter().map(life).collect();
        lives.sort();
        lives
    }

    /// The guide's own producer puts jobs into the queue, from outside the cluster.
    pub(super) fn produce(&self, count: u32) {
        let forward = PortForward::to_redis(&self.namespace);
        let output = Command::new("node")
            .arg(format!("{ROOT}/examples/producer/produce.mjs"))
            .env("REDIS_URL", format!("redis://127.0.0.1:{}", forward.port))
            .env("COUNT", count.to_string())
            .env("USERS", "100")
            .output()
            .expect("node runs; run: make test-e2e");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs `redis-cli` in the Redis pod.
    pub(super) fn redis(&self, arguments: &[&str]) -> String {
        let text =
            self.kubectl(&[&["exec", "deployment/redis", "--", "redis-cli"], arguments].concat());
        text.trim().to_owned()
    }

    /// Jobs in a finished set.
    pub(super) fn finished(&self, set: &str) -> u64 {
        self.redis(&["zcard", &format!("bull:cio-events:{set}")])
            .parse()
            .expect("a number")
    }

    /// What the simulator has stored and counted.
    pub(super) fn simulator(&self, path: &str) -> Value {
        let path = self.simulator_path(path);
        serde_json::from_str(&run("kubectl", &["get", "--raw", &path])).expect("JSON")
    }

    /// The simulator starts over.
    pub(super) fn forget_what_the_simulator_saw(&self) {
        run(
            "kubectl",
            &["delete", "--raw", &self.simulator_path("state")],
        );
    }

    fn simulator_path(&self, path: &str) -> String {
        let namespace = &self.namespace;
        format!("/api/v1/namespaces/{namespace}/services/simulator:80/proxy/_sim/{path}")
    }

    /// What each pod of `events` has, in the version that every adapter serves.
    pub(super) fn shares(&self) -> Vec<f64> {
        let text = run("kubectl", &["get", "--raw", &self.metric_path("v1beta1")]);
        let list: Value = serde_json::from_str(&text).expect("JSON");
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let value = |item: &Value| {
            let text = item["value"].as_str().expect("a quantity");
            match text.strip_suffix('m') {
                Some(milli) => milli.parse::<f64>().expect("a number") / 1000.0,
                None => text.parse().expect("a number"),
            }
        };
        items.iter().map(value).collect()
    }

    fn metric_path(&self, version: &str) -> String {
        format!(
            "/apis/custom.metrics.k8s.io/{version}/namespaces/{}/pods/*/cio_queue_depth\
             ?labelSelector=cio.dev%2Fpipeline%3Devents",
            self.namespace
        )
    }

    /// Asks for the metric of `events` as the HPA does, through the API server, again and again. An
    /// answer without a value is none: the HPA could do nothing with it.
    fn ask_until(&self, done: &AtomicBool) -> Asked {
        let mut asked = Asked::default();
        while !done.load(Ordering::Relaxed) {
            asked.count += 1;
            asked.failed.extend(self.ask());
            sleep(Duration::from_millis(100));
        }
        asked
    }

    /// Asks once; what is said where there is no value.
    pub(super) fn ask(&self) -> Option<String> {
        let path = self.metric_path("v1beta2");
        no_values(&try_run("kubectl", &["get", "--raw", &path], None))
    }

    /// Asserts that every question that is asked during `work` is answered, and that there are more than `least`.
    pub(super) fn is_answered_during(&self, least: u32, work: impl FnOnce()) {
        let done = AtomicBool::new(false);
        let asked = scope(|scope| {
            let asker = scope.spawn(|| self.ask_until(&done));
            let ends = Ends(&done);
            work();
            drop(ends);
            asker.join().expect("the asker ends")
        });
        println!("{} questions, {} failed", asked.count, asked.failed.len());
        assert!(asked.count > least, "only {} questions", asked.count);
        assert_eq!(asked.failed, Vec::<String>::new());
    }

    fn picture(&self) -> String {
        let show = |arguments: &[&str]| {
            let output = self.try_kubectl(arguments, None);
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            format!("$ kubectl {}\n{text}", arguments.join(" "))
        };
        [
            show(&["get", "ciop,deployment,hpa,pods", "-o", "wide"]),
            show(&["get", "ciop", "-o", "jsonpath={.items[*].status}"]),
            show(&["describe", "hpa"]),
            show(&["get", "events", "--sort-by=.lastTimestamp"]),
            show(&[
                "logs",
                "-l",
                "cio.dev/pipeline=events",
                "--all-containers",
                "--tail=10",
            ]),
        ]
        .join("\n")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A stage that failed stays, to be looked at.
        if !std::thread::panicking() {
            try_run(
                "kubectl",
                &["delete", "namespace", &self.namespace, "--wait=false"],
                None,
            );
        }
    }
}

/// What an answer says that has no values.
fn no_values(answer: &Output) -> Option<String> {
    if !answer.status.success() {
        return Some(String::from_utf8_lossy(&answer.stderr).into_owned());
    }
    let list: Value = serde_json::from_slice(&answer.stdout).unwrap_or_default();
    let empty = list["items"].as_array().is_none_or(Vec::is_empty);
    empty.then(|| String::from_utf8_lossy(&answer.stdout).into_owned())
}

/// The manifest of a pipeline on the stage's Redis and simulator; `spec` adds to it.
pub(super) fn manifest(spec: &str) -> String {
    format!(
        "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: events}}\nspec:\n\
         \x20 queue: {{redis: {{url: 'redis://redis:6379'}}}}\n{spec}"
    )
}

/// `kubectl port-forward` to a port that the system chose, ended with the value.
struct PortForward {
    child: Child,
    port: u16,
    /// kubectl goes on writing, and dies of a pipe that nobody reads.
    _stdout: BufReader<ChildStdout>,
}

impl PortForward {
    fn to_redis(namespace: &str) -> Self {
        let mut child = Command::new("kubectl")
            .args([
                "--namespace",
                namespace,
                "port-forward",
                "service/redis",
                ":6379",
            ])
            .args(["--address", "127.0.0.1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line).expect("a line");
        let port = line
            .split("127.0.0.1:")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("no port in {line:?}"));
        Self {
            child,
            port,
            _stdout: stdout,
        }
    }
}

impl Drop for PortForward {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

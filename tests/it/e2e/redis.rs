//! A Redis as platform teams run it: TLS, a user with few rights, and a password that changes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::support::{SOON, Stage};
use crate::support::redis::documented_user;

const JOBS: u64 = 1500;
/// A changed Secret reaches a mounted folder with the kubelet's next look, up to two minutes later.
const ROTATED: Duration = Duration::from_mins(5);
/// The demo's Redis with TLS on a second port; the first one is the test's own.
const TLS: &str = r#"[
{"op": "add", "path": "/spec/template/spec/volumes/-",
 "value": {"name": "tls", "secret": {"secretName": "redis-tls"}}},
{"op": "add", "path": "/spec/template/spec/containers/0/volumeMounts/-",
 "value": {"name": "tls", "mountPath": "/tls", "readOnly": true}},
{"op": "replace", "path": "/spec/template/spec/containers/0/args",
 "value": ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", "/data",
           "--protected-mode", "no", "--maxmemory-policy", "noeviction",
           "--tls-port", "6380", "--tls-auth-clients", "no", "--tls-cert-file", "/tls/tls.crt",
           "--tls-key-file", "/tls/tls.key", "--tls-ca-cert-file", "/tls/tls.crt"]}
]"#;
const PIPELINE: &str = "
apiVersion: cio.dev/v1alpha1
kind: CioPipeline
metadata: {name: events}
spec:
  queue:
    redis:
      urlSecretRef: {name: redis, key: url}
      caSecretRef: {name: redis, key: ca.crt}
  workspace: {endpoint: 'http://simulator', rateLimit: {requestsPerSecond: 20}}
  delivery: {mode: Single}
  autoscaling: {minReplicas: 2, maxReplicas: 2}
";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn over_tls_with_few_rights_a_rotated_password_loses_no_job_and_restarts_no_pod() {
    let stage = Stage::new("redis-tls", &[]);
    let authority = serve_tls(&stage);
    let user = documented_user("delivery", "first", "bull");
    stage.redis(&user.iter().map(String::as_str).collect::<Vec<_>>());
    secret(&stage, &address("first"), &authority);
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(PIPELINE));
    assert!(applied.status.success(), "{applied:?}");
    stage.wait_ready();
    stage.produce(u32::try_from(JOBS).expect("few"));
    stage.wait("some jobs are done", SOON, || {
        stage.finished("completed") > 50
    });
    let clients = || {
        let list = stage.redis(&["client", "list"]);
        let of_pods = list.lines().filter(|line| line.contains("user=delivery "));
        of_pods.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(clients().len() >= 4, "two workers, two sidecars");
    for client in clients() {
        assert!(client.contains(":6380 "), "without TLS: {client}");
    }
    let before = stage.lives();

    // The hard way: the old password ends at once, with all its connections.
    stage.redis(&["acl", "setuser", "delivery", "resetpass", ">second"]);
    stage.redis(&["client", "kill", "user", "delivery"]);
    secret(&stage, &address("second"), &authority);
    stage.wait("everything is delivered", ROTATED, || {
        stage.finished("completed") == JOBS
    });
    assert_eq!(stage.finished("failed"), 0);
    stage.wait("everything is well", SOON, || {
        stage.condition("Ready").0 == "True" && stage.condition("MetricsAvailable").0 == "True"
    });
    assert_eq!(stage.lives(), before, "a pod was restarted");
    let seen = stage.simulator("state");
    assert_eq!(seen["events"], JOBS / 2, "each event counts once: {seen}");
    // Nothing was asked that the documented rights do not allow; the old password was.
    let log = stage.redis(&["acl", "log", "128"]);
    let reasons: BTreeSet<_> = log
        .lines()
        .filter(|line| ["auth", "command", "key", "channel"].contains(line))
        .collect();
    assert_eq!(reasons, BTreeSet::from(["auth"]), "{log}");
}

/// Redis listens with a certificate of its own, which is given back.
fn serve_tls(stage: &Stage) -> String {
    let own = rcgen::generate_simple_self_signed(["redis".to_owned()]).expect("a certificate");
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    stage.kubectl(&[
        "create",
        "secret",
        "generic",
        "redis-tls",
        &format!("--from-literal=tls.crt={certificate}"),
        &format!("--from-literal=tls.key={key}"),
    ]);
    stage.kubectl(&["patch", "deployment", "redis", "--type=json", "-p", TLS]);
    let port = r#"{"spec":{"ports":[{"name":"plain","port":6379},{"name":"tls","port":6380}]}}"#;
    stage.kubectl(&["patch", "service", "redis", "-p", port]);
    stage.kubectl(&["rollout", "status", "deployment/redis", "--timeout=120s"]);
    certificate
}

fn address(password: &str) -> String {
    format!("rediss://delivery:{password}@redis:6380")
}

/// Makes the pipeline's Secret, or changes it.
fn secret(stage: &Stage, url: &str, authority: &str) {
    let secret = serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis"},
        "stringData": {"url": url, "ca.crt": authority},
    });
    let applied = stage.try_kubectl(&["apply", "-f", "-"], Some(&secret.to_string()));
    assert!(applied.status.success(), "{applied:?}");
}

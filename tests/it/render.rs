//! `cio render`: what the operator would create, and what it refuses.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn render(manifest: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cio"))
        .args(["render", "-f", "-", "--image", "cio-operator:test"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cio runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(manifest.as_bytes()).expect("written");
    drop(stdin);
    child.wait_with_output().expect("cio ends")
}

/// The objects that `manifest` renders to.
fn objects(manifest: &str) -> Vec<Value> {
    let output = render(manifest);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.split("---\n")
        .map(|document| serde_saphyr::from_str(document).expect("YAML"))
        .collect()
}

fn object(manifest: &str, kind: &str) -> Value {
    let mut objects = objects(manifest);
    objects.retain(|object| object["kind"] == kind);
    assert_eq!(objects.len(), 1, "one {kind}");
    objects.remove(0)
}

fn example() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/pipeline.yaml");
    std::fs::read_to_string(file).expect("the example")
}

fn with_spec(spec: &str) -> String {
    format!(
        "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: events}}\nspec: {spec}\n"
    )
}

#[test]
fn the_hpa_has_the_numbers_of_the_guide_and_nothing_else() {
    let hpa = object(&example(), "HorizontalPodAutoscaler");
    let expected = json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "events-worker"},
        "minReplicas": 2,
        "maxReplicas": 20,
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
            {"type": "Pods", "pods": {"metric": {"name": "cio_queue_depth"}, "target": {"type": "AverageValue", "averageValue": "500"}}}
        ],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 60}]},
            "scaleDown": {"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 120}]}
        }
    });
    assert_eq!(hpa["spec"], expected);
}

#[test]
fn the_example_renders_to_these_objects() {
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_yaml_snapshot!("example", objects(&example()));
    });
}

#[test]
fn a_full_pipeline_renders_to_these_objects() {
    let manifest = with_spec(
        "
  queue:
    name: orders
    prefix: '{bull}'
    redis: {urlSecretRef: {name: redis, key: url}, caSecretRef: {name: redis-ca, key: ca.crt}}
    retention: {completed: 5}
  workspace:
    region: eu
    endpoint: http://simulator
    credentialsSecretRef: {name: cio, siteIdKey: site, apiKeyKey: api}
    rateLimit: {requestsPerSecond: 40}
  delivery: {mode: Single}
  worker:
    image: example.com/worker:1
    concurrency: 3
    resources: {requests: {memory: 1Gi}, limits: {cpu: '2'}}
    template:
      labels: {team: growth}
      annotations: {rolled: 'yes'}
      env:
      - {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: 'http://collector:4318'}
      - {name: TOKEN, valueFrom: {secretKeyRef: {name: own, key: token}}}
      nodeSelector: {disk: fast}
      tolerations: [{key: dedicated, operator: Exists}]
      priorityClassName: high
      imagePullSecrets: [{name: registry}]
      terminationGracePeriodSeconds: 60
  sidecar: {port: 9200}
  autoscaling: {minReplicas: 1, maxReplicas: 3, queueDepth: 50, metricSource: External}
  monitoring: {podMonitor: true}",
    );
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_yaml_snapshot!("full", objects(&manifest));
    });
}

#[test]
fn no_object_says_how_many_pods_there_are() {
    for object in objects(&example()) {
        assert_eq!(object["spec"].get("replicas"), None, "{}", object["kind"]);
    }
}

#[test]
fn every_container_asks_for_cpu_whatever_else_is_overridden() {
    let manifest = with_spec(
        "{queue: {redis: {url: 'redis://r:1'}}, worker: {resources: {requests: {memory: 1Gi}}}, \
         sidecar: {resources: {limits: {memory: 1Gi}}}}",
    );
    let pod = &object(&manifest, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["resources"]["requests"],
        json!({"cpu": "100m", "memory": "1Gi"})
    );
    assert_eq!(
        pod["initContainers"][0]["resources"]["requests"],
        json!({"cpu": "10m", "memory": "16Mi"})
    );
}

#[test]
fn scale_up_alone_keeps_the_guides_scale_down() {
    let manifest = with_spec(
        "{queue: {redis: {url: 'redis://r:1'}}, autoscaling: {behavior: {scaleUp: \
         {policies: [{type: Percent, value: 100, periodSeconds: 15}]}}}}",
    );
    let behavior = &object(&manifest, "HorizontalPodAutoscaler")["spec"]["behavior"];
    assert_eq!(behavior["scaleUp"]["policies"][0]["type"], "Percent");
    assert_eq!(behavior["scaleUp"]["stabilizationWindowSeconds"], 60);
    let down = json!({"stabilizationWindowSeconds": 300, "policies": [{"type": "Pods", "value": 2, "periodSeconds": 120}]});
    assert_eq!(behavior["scaleDown"], down);
}

#[test]
fn a_suspended_pipeline_has_no_hpa() {
    let manifest = with_spec("{suspend: true, queue: {redis: {url: 'redis://r:1'}}}");
    assert!(
        objects(&manifest)
            .iter()
            .all(|object| object["kind"] != "HorizontalPodAutoscaler")
    );
}

#[test]
fn what_cannot_work_is_refused_with_the_remedy() {
    let redis = "redis: {url: 'redis://r:1'}";
    let cases = [
        (
            format!("{{queue: {{name: 'cio:events', {redis}}}}}"),
            "has a colon",
        ),
        ("{queue: {redis: {}}}".to_owned(), "exactly one of"),
        (
            "{queue: {redis: {url: 'redis://r:1', urlSecretRef: {name: a, key: b}}}}".to_owned(),
            "exactly one of",
        ),
        (
            "{queue: {redis: {url: 'redis://u:p@r:1'}}}".to_owned(),
            "user or password",
        ),
        (
            "{queue: {redis: {url: 'redis-cluster://a:1,b:1'}}}".to_owned(),
            "must share a slot",
        ),
        (
            format!("{{queue: {{{redis}}}, autoscaling: {{minReplicas: 5, maxReplicas: 2}}}}"),
            "minReplicas",
        ),
        (
            "{queue: {redis: {url: 'http://r:1'}}}".to_owned(),
            "begins with none of redis://",
        ),
        (
            format!("{{queue: {{{redis}}}, workspace: {{endpoint: 'ftp://x'}}}}"),
            "spec.workspace.endpoint",
        ),
        (
            format!("{{queue: {{{redis}}}, worker: {{concurrency: 0}}}}"),
            "at least 1",
        ),
        (
            format!("{{queue: {{{redis}}}, sidecar: {{port: 9101}}}}"),
            "9101",
        ),
        (
            format!("{{queue: {{{redis}}}, worker: {{template: {{env: [{{name: REDIS_URL}}]}}}}}}"),
            "set the field instead",
        ),
        (
            format!("{{queue: {{{redis}}}, autoscalling: {{}}}}"),
            "unknown field spec.autoscalling",
        ),
        (
            format!("{{queue: {{{redis}}}, worker: {{concurrency: many}}}}"),
            "spec.worker.concurrency",
        ),
    ];
    for (spec, message) in cases {
        let output = render(&with_spec(&spec));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{spec}: {error}");
        assert!(error.contains(message), "{spec}: {error}");
    }
}

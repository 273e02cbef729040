//! Argo CD's health check, run by a Lua that is here: Redis' own, of the same version.

use serde_json::{Value, json};

use crate::support::redis::RedisServer;

const MANIFEST: &str = include_str!("../../examples/argocd/argocd-cm.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_sees_what_the_conditions_say() {
    let server = RedisServer::start();
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": kind});
    let seen = |suspend: bool, conditions: &[(&str, &str)]| {
        let conditions: Vec<Value> = conditions.iter().map(|it| condition(it.0, it.1)).collect();
        json!({
            "metadata": {"generation": 2}, "spec": {"suspend": suspend},
            "status": {"observedGeneration": 2, "conditions": conditions},
        })
    };
    let untouched = json!({"metadata": {"generation": 1}, "spec": {"suspend": false}});
    let mut fresh = untouched.clone();
    fresh["status"] = json!({"observedGeneration": -1});
    let mut changed = seen(false, &[("Ready", "True")]);
    changed["metadata"]["generation"] = json!(3);
    let fine = [
        ("Ready", "True"),
        ("Reconciling", "False"),
        ("Stalled", "False"),
        ("Degraded", "False"),
    ];
    for (object, expected) in [
        (untouched, "Progressing"),
        (fresh, "Progressing"),
        (changed, "Progressing"),
        (seen(false, &fine), "Healthy"),
        (seen(true, &fine), "Suspended"),
        (
            seen(false, &[("Ready", "Unknown"), ("Reconciling", "True")]),
            "Progressing",
        ),
        (
            seen(false, &[("Ready", "True"), ("Degraded", "True")]),
            "Degraded",
        ),
        (
            seen(true, &[("Ready", "False"), ("Stalled", "True")]),
            "Degraded",
        ),
        (seen(false, &[]), "Progressing"),
    ] {
        let found = health(&server, &object).await;
        assert_eq!(found, expected, "{object}");
    }
}

async fn health(server: &RedisServer, object: &Value) -> String {
    let manifest: Value = serde_saphyr::from_str(MANIFEST).unwrap();
    let check = manifest["data"]["resource.customizations.health.cio.dev_CioPipeline"].as_str();
    let script = format!(
        "local function check(obj) {} end\nreturn check(cjson.decode(ARGV[1])).status",
        check.unwrap()
    );
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let script = redis::Script::new(&script);
    let found: Result<String, _> = script
        .arg(object.to_string())
        .invoke_async(&mut connection)
        .await;
    found.unwrap()
}

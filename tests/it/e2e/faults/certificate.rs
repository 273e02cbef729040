//! The adapter's certificate has expired, as after months without an operator.

use std::thread::sleep;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;

use super::super::support::{SOON, Stage, adapter_alone, system, try_run};

const SECRET: &str = "cio-cio-operator-adapter-serving";

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn an_expired_certificate_is_replaced_at_once_and_fails_no_question() {
    let stage = Stage::new("expired", &[]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}\n");
    stage.wait_ready();
    stage.wait("the metric", SOON, || {
        stage.condition("MetricsAvailable").0 == "True"
    });
    let _alone = adapter_alone();
    stage.is_answered_during(100, || {
        let certificate = put_expired();
        stage.wait("another certificate", Duration::from_mins(1), || {
            let now = stored();
            now != certificate && is_valid(&now)
        });
        // A kubelet brings it to the adapters within two minutes.
        sleep(Duration::from_mins(2));
    });
    assert_eq!(stage.condition("MetricsAvailable").0, "True");
}

/// Puts a certificate that has expired in the place of the adapter's, and gives it.
pub(in crate::e2e) fn put_expired() -> String {
    let (certificate, key) = expired();
    let patch = json!({"stringData": {"tls.crt": certificate, "tls.key": key}}).to_string();
    system(&["patch", "secret", SECRET, "-p", &patch]);
    certificate
}

fn expired() -> (String, String) {
    let names = ["cio-cio-operator-adapter.cio-system.svc".to_owned()];
    let mut params = CertificateParams::new(names).expect("a name");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 4, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

/// The adapter's certificate in its Secret.
pub(in crate::e2e) fn stored() -> String {
    let path = r"jsonpath={.data.tls\.crt}";
    let encoded = system(&["get", "secret", SECRET, "-o", path]);
    let decoded = try_run("base64", &["-d"], Some(&encoded));
    String::from_utf8_lossy(&decoded.stdout).into_owned()
}

fn is_valid(pem: &str) -> bool {
    let check = ["x509", "-noout", "-checkend", "0"];
    try_run("openssl", &check, Some(pem)).status.success()
}

//! With a real cert-manager: it makes the adapter's certificate and renews it, and the operator has no right to any Secret.

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use super::certificates::{certificate, scaling_active, wait_served};
use super::support::{CHART, SOON, SYSTEM, Stage, install, run, system, try_run};
use super::ways::standing_backlog;

/// The chart's Certificate, and the Secret that it asks for.
const CERTIFICATE: &str = "cio-cio-operator-adapter";
const SECRET: &str = "cio-cio-operator-adapter-cert-manager";
/// The Secret that the operator keeps where there is no cert-manager.
const SERVING: &str = "cio-cio-operator-adapter-serving";
const OPERATOR: &str = "system:serviceaccount:cio-system:cio-cio-operator-operator";
/// What `cmctl renew` writes.
const RENEW: &str = r#"[{"op": "add", "path": "/status/conditions/-", "value": {"type": "Issuing", "status": "True",
    "reason": "ManuallyTriggered", "message": "a test", "lastTransitionTime": "2026-01-01T00:00:00Z"}}]"#;

#[test]
#[ignore = "needs a cluster and cert-manager: make test-cert-manager"]
fn cert_manager_makes_and_renews_the_certificate_and_the_operator_has_no_right_to_a_secret() {
    let stage = Stage::new("cert-manager", &[]);
    stage.pipeline(&standing_backlog("Pods"));
    stage.wait_ready();
    let active = |what| stage.wait(what, SOON, || scaling_active(&stage).0 == "True");
    active("the HPA has its metric by the operator's certificate");
    assert_eq!(may("get", SERVING), "yes");

    let _manager = CertManager::start();
    install(
        CHART,
        &["--set", "metricsApi.certificate.certManager.enabled=true"],
    );
    wait_served(&stage, SECRET, "");
    stage.wait("the API server believes in its authority", SOON, || {
        let authority = authority();
        !authority.is_empty() && bundles() == [authority.as_str(); 2]
    });
    let theirs = authority();
    stage.wait("questions are answered", SOON, || stage.ask().is_none());
    active("the HPA has its metric by cert-manager's certificate");
    for (verb, what) in [("get", SERVING), ("get", SECRET), ("list", "")] {
        assert_eq!(may(verb, what), "no", "{verb} {what}");
    }

    let before = certificate(SECRET);
    stage.is_answered_during(100, || {
        let renew = ["patch", "certificate", CERTIFICATE, "--subresource=status"];
        system(&[&renew[..], &["--type=json", "-p", RENEW]].concat());
        wait_served(&stage, SECRET, &before);
        // Two syncs of the HPA more.
        sleep(Duration::from_secs(10));
    });
    stage.produce(2000);
    stage.wait("4 pods", SOON, || stage.replicas() == 4);

    // And back: the operator makes one again.
    install(CHART, &[]);
    wait_served(&stage, SERVING, "");
    stage.wait("the API server believes in the operator's", SOON, || {
        bundles()
            .iter()
            .all(|bundle| !bundle.is_empty() && *bundle != theirs)
    });
    stage.wait("questions are answered again", SOON, || {
        stage.ask().is_none()
    });
    active("the HPA has its metric again");
}

/// Whether the operator may do that with a Secret of its namespace, or with any.
fn may(verb: &str, secret: &str) -> String {
    let what = format!("secret/{secret}");
    let what = if secret.is_empty() { "secrets" } else { &what };
    let question = ["-n", SYSTEM, "auth", "can-i", verb, what, "--as", OPERATOR];
    let answer = try_run("kubectl", &question, None);
    String::from_utf8_lossy(&answer.stdout).trim().to_owned()
}

/// cert-manager's authority, as base64.
fn authority() -> String {
    system(&["get", "secret", SECRET, "-o", r"jsonpath={.data.ca\.crt}"])
}

/// Whom the API server believes, of both versions of the metrics API.
fn bundles() -> Vec<String> {
    let bundle = |version: &str| {
        let name = format!("{version}.custom.metrics.k8s.io");
        let path = "jsonpath={.spec.caBundle}";
        run("kubectl", &["get", "apiservice", &name, "-o", path])
    };
    ["v1beta1", "v1beta2"].map(bundle).to_vec()
}

/// cert-manager's controller and cainjector as processes beside the node, ended with the value.
struct CertManager(Vec<Child>);

impl CertManager {
    fn start() -> Self {
        let folder = std::env::var("CIO_E2E_CERT_MANAGER_CRDS")
            .expect("its CRDs; run: make test-cert-manager");
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let crd = std::fs::read_to_string(path).expect("a text");
                let applied = try_run(
                    "kubectl",
                    &["apply", "--server-side", "-f", "-"],
                    Some(&rendered(&crd)),
                );
                assert!(applied.status.success(), "{applied:?}");
            }
        }
        run(
            "kubectl",
            &["wait", "--for=condition=Established", "crd", "--all"],
        );
        Self(["controller", "cainjector"].map(Self::program).into())
    }

    fn program(part: &str) -> Child {
        let kubeconfig = std::env::var("KUBECONFIG").expect("a kubeconfig");
        Command::new(format!("cert-manager-{part}"))
            .args([
                "--leader-elect=false",
                &format!("--kubeconfig={kubeconfig}"),
            ])
            .spawn()
            .expect("it runs; run: make test-cert-manager")
    }
}

/// Their chart's lines, in its labels alone, filled in.
fn rendered(crd: &str) -> String {
    let lines = crd.lines().map(|line| match line.split_once("'{{") {
        Some((key, _)) => format!("{key}cert-manager\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

impl Drop for CertManager {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

//! What a user learns, and what is delivered, when Customer.io does not know the key.

use std::time::Duration;

use super::support::{SOON, Stage};

/// A changed Secret reaches a mounted folder with the kubelet's next look, up to two minutes later;
/// then up to half a minute passes until the next try.
const MENDED: Duration = Duration::from_mins(4);

const JOBS: u32 = 300;

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn a_wrong_key_is_in_the_status_and_once_it_is_right_everything_is_delivered() {
    let stage = Stage::new("wrong-key", &["--credentials", "site:right"]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}\n");
    stage.wait_ready();
    stage.produce(JOBS);
    stage.wait("Ready=False, CredentialsRefused", SOON, || {
        stage.condition("Ready").1 == "CredentialsRefused"
    });
    let (status, _, message) = stage.condition("Ready");
    assert_eq!(status, "False");
    for word in ["siteId", "apiKey", "Secret customerio"] {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(stage.condition("Delivering").0, "False");
    assert_eq!(stage.condition("Available").0, "True");
    assert_eq!(
        (stage.finished("completed"), stage.finished("failed")),
        (0, 0)
    );

    let patch = r#"{"stringData":{"apiKey":"right"}}"#;
    stage.kubectl(&["patch", "secret", "customerio", "-p", patch]);
    stage.wait("everything is delivered", MENDED, || {
        stage.finished("completed") == u64::from(JOBS)
    });
    stage.wait("Ready=True", SOON, || {
        stage.condition("Ready").0 == "True" && stage.condition("Delivering").0 == "True"
    });
    assert_eq!(stage.finished("failed"), 0);
    let stored = stage.simulator("state");
    assert_eq!(stored["duplicates"], 0);
}

//! Files that are generated and committed are what the code would generate now.

use std::path::Path;

/// Compares a committed file with its text; with `UPDATE=1` in the environment, writes it.
pub(crate) fn check(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("the file can be written");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is out of date; write it with: UPDATE=1 cargo test --test it"
    );
}

fn cio(arguments: &[&str]) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cio"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cio runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn the_crd_is_the_types() {
    let crd = cio(&["crd"]);
    check("crds/ciopipelines.yaml", &crd);
    check("charts/cio-operator/files/ciopipelines.yaml", &crd);
    assert!(
        crd.len() < 200_000,
        "kubectl apply keeps a copy in an annotation of 256 KiB"
    );
}

#[test]
fn the_version_of_the_chart_is_the_version_of_the_crate() {
    let chart = include_str!("../../charts/cio-operator/Chart.yaml");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        chart.contains(&format!("\nversion: {version}\n")),
        "Chart.yaml: version"
    );
    assert!(
        chart.contains(&format!("\nappVersion: \"{version}\"\n")),
        "Chart.yaml: appVersion"
    );
}

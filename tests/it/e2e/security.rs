//! What each part may do, as the API server itself sees it.

use serde_json::Value;

use super::support::{SYSTEM, Stage, run, try_run};

/// What an account may do in a namespace, in `kubectl`'s words, without what everybody may.
fn rights(account: &str, namespace: &str) -> Vec<String> {
    let list = |account: &str| {
        let text = run(
            "kubectl",
            &["auth", "can-i", "--list", "-n", namespace, "--as", account],
        );
        let lines = text.lines().skip(1);
        lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    let everybody = list("system:serviceaccount:default:nobody");
    let mut rights = list(account);
    rights.retain(|right| !everybody.contains(right));
    rights.sort();
    rights
}

/// The rights in the list that are an account's.
fn rights_of<'a>(rights: &'a [(String, Vec<String>)], account: &str) -> &'a [String] {
    let of = |(name, _): &&(String, Vec<String>)| account.ends_with(&format!(":{name}"));
    &rights.iter().find(of).expect("it was asked about").1
}

fn account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

fn may(account: &str, question: &[&str]) -> bool {
    let arguments = [&["auth", "can-i"], question, &["--as", account]].concat();
    let answer = try_run("kubectl", &arguments, None);
    // kubectl says no with exit 1; an answer that is neither is no answer.
    let words = String::from_utf8_lossy(&answer.stdout);
    match words.split_whitespace().next() {
        Some("yes") => true,
        Some("no") => false,
        _ => panic!("kubectl {arguments:?}: {answer:?}"),
    }
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn each_account_may_do_this_and_no_more() {
    let stage = Stage::new("rights", &[]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}\n");
    stage.wait_ready();
    let accounts = [
        account(SYSTEM, "cio-cio-operator-operator"),
        account(SYSTEM, "cio-cio-operator-adapter"),
        account(&stage.namespace, "events-worker"),
    ];
    let rights: Vec<_> = accounts
        .iter()
        .map(|account| {
            let name = account.rsplit(':').next().expect("a name");
            (name.to_owned(), rights(account, &stage.namespace))
        })
        .collect();
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_yaml_snapshot!("rights", rights);
    });
    // Where the chart is, and where the cluster says whom an API server believes.
    let lease = "leases.coordination.k8s.io";
    let own = [
        format!("{lease} [] [] [create]"),
        format!("{lease} [] [cio-cio-operator-operator] [get update]"),
        "secrets [] [cio-cio-operator-adapter-serving] [get update]".to_owned(),
    ];
    let authorities =
        ["configmaps [] [extension-apiserver-authentication] [get list watch]".to_owned()];
    let none: &[String] = &[];
    for (account, namespace, more) in [
        (&accounts[0], SYSTEM, &own[..]),
        (&accounts[0], "kube-system", none),
        (&accounts[1], SYSTEM, none),
        (&accounts[1], "kube-system", &authorities[..]),
        (&accounts[2], SYSTEM, none),
        (&accounts[2], "kube-system", none),
    ] {
        let everywhere = rights_of(&rights, account);
        let mut found = self::rights(account, namespace);
        found.retain(|right| !everywhere.contains(right));
        assert_eq!(found, more, "{account} in {namespace}");
    }
    let serving = "secrets/cio-cio-operator-adapter-serving";
    for verb in ["get", "update"] {
        assert!(may(&accounts[0], &[verb, serving, "-n", SYSTEM]), "{verb}");
        assert!(!may(&accounts[1], &[verb, serving, "-n", SYSTEM]), "{verb}");
    }
    for account in &accounts {
        for namespace in [SYSTEM, &stage.namespace, "kube-system"] {
            for verb in ["get", "list", "watch", "create", "patch", "delete"] {
                assert!(
                    !may(account, &[verb, "secrets", "-n", namespace]),
                    "{account}: {verb} secrets"
                );
            }
            // After a slash kubectl reads a name: a subresource has its own flag.
            for question in [
                ["create", "pods", "--subresource=exec"],
                ["create", "serviceaccounts", "--subresource=token"],
                ["create", "roles", "--subresource="],
                ["bind", "clusterroles", "--subresource="],
                ["impersonate", "users", "--subresource="],
            ] {
                let question = [&question[..], &["-n", namespace]].concat();
                assert!(!may(account, &question), "{account}: {question:?}");
            }
        }
    }
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn everything_runs_where_the_restricted_standard_is_enforced() {
    let stage = Stage::new("restricted", &[]);
    stage.pipeline("  workspace: {endpoint: 'http://simulator'}\n");
    stage.wait_ready();
    for namespace in [SYSTEM, &stage.namespace] {
        let label = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}";
        let enforced = run("kubectl", &["get", "namespace", namespace, "-o", label]);
        assert_eq!(enforced, "restricted", "{namespace}");
        // What the standard does not ask for, and we give.
        let selector = "app.kubernetes.io/managed-by in (Helm, cio-operator)";
        let text = run(
            "kubectl",
            &["get", "pods", "-n", namespace, "-l", selector, "-o", "json"],
        );
        let list: Value = serde_json::from_str(&text).expect("JSON");
        let pods = list["items"].as_array().expect("items");
        assert!(!pods.is_empty(), "{namespace}");
        for container in pods.iter().flat_map(containers) {
            let read_only = &container["securityContext"]["readOnlyRootFilesystem"];
            assert_eq!(read_only, true, "{namespace}: {}", container["name"]);
        }
    }
    let violations = run(
        "kubectl",
        &[
            "get",
            "events",
            "-A",
            "--field-selector",
            "reason=FailedCreate",
        ],
    );
    assert!(!violations.contains("violates PodSecurity"), "{violations}");
}

/// All of a pod's, also those that begin before the others.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"]
        .into_iter()
        .filter_map(|kind| pod["spec"][kind].as_array())
        .flatten()
}

#[test]
#[ignore = "needs a cluster: make test-e2e"]
fn helm_test_finds_the_installation_well() {
    super::support::installed();
    helm_test();
}

/// Looks at what is installed with the chart's own test.
pub(super) fn helm_test() {
    run("helm", &["test", "cio", "-n", SYSTEM, "--timeout", "2m"]);
}

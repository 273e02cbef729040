//! Customer.io's own clients against the simulator, each with every call that it has: none of them can
//! tell it from the real one. The programs are in `tests/clients`; `make setup` installs the clients.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use cio_operator::runtime::tls;
use http_body_util::{BodyExt, Empty};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::eventually;
use crate::support::process::Cio;
use crate::support::redis::free_port;

const REMEDY: &str = "run `make setup`";
const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
/// What the programs call `ODD`, as a path.
const ODD: &str = "a%20b%2F%C3%BC%2B%40x.io";

/// A certificate authority of the test's own, and a certificate of it for this machine, as files.
struct Certificates {
    folder: TempDir,
    authority: CertificateDer<'static>,
}

impl Certificates {
    fn make() -> Self {
        let mut params = CertificateParams::default();
        let names = &mut params.distinguished_name;
        names.push(
            DnType::CommonName,
            "an authority that only this test trusts",
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let own_key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        own.use_authority_key_identifier_extension = true;
        let own = own.signed_by(&own_key, &issuer).unwrap();

        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("ca.crt", authority.pem()),
            ("tls.crt", own.pem()),
            ("tls.key", own_key.serialize_pem()),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let authority = CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap();
        Self { folder, authority }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// `cio simulator` as a process, and a client that looks at its pages.
struct Simulator {
    url: String,
    port: u16,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    certificates: Option<Certificates>,
    _cio: Cio,
}

impl Simulator {
    async fn http(key: &str) -> Self {
        Self::start(key, None).await
    }

    async fn https(key: &str) -> Self {
        Self::start(key, Some(Certificates::make())).await
    }

    async fn start(key: &str, certificates: Option<Certificates>) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let credentials = format!("site:{key}");
        let mut arguments = ["simulator", "--listen", &address, "--credentials"].to_vec();
        arguments.push(&credentials);
        let given = certificates.as_ref();
        let files = given.map(|it| (it.file("tls.crt"), it.file("tls.key")));
        if let Some((certificate, key)) = &files {
            arguments.extend(["--tls-cert", certificate, "--tls-key", key]);
        }
        let scheme = if files.is_some() { "https" } else { "http" };
        let simulator = Self {
            url: format!("{scheme}://{address}"),
            port,
            client: client(certificates.as_ref()),
            certificates,
            _cio: Cio::start(&arguments, &[]),
        };
        eventually("the simulator is ready", async || {
            simulator.get("/readyz").await
        })
        .await;
        simulator
    }

    async fn get(&self, path: &str) -> Option<(u16, Bytes)> {
        let uri = format!("{}{path}", self.url).parse().unwrap();
        let answer = self.client.get(uri).await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.ok()?;
        Some((status, body.to_bytes()))
    }

    /// A page under `/_sim`, or null where there is none.
    async fn sim(&self, page: &str) -> Value {
        let (status, body) = self.get(&format!("/_sim/{page}")).await.unwrap();
        match status {
            200 => serde_json::from_slice(&body).unwrap(),
            _ => Value::Null,
        }
    }

    /// The events, as person, type and name.
    async fn events(&self) -> Vec<[String; 3]> {
        let events = self.sim("events").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let events = events["events"].as_array().unwrap().iter();
        events
            .map(|event| ["person", "type", "name"].map(|field| text(&event[field])))
            .collect()
    }

    async fn assert_counts(&self, expected: &Value) {
        let state = self.sim("state").await;
        let expected = expected.as_object().unwrap();
        let names = expected.keys();
        let found: Value = names
            .map(|name| (name.clone(), state[name].clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        assert_eq!(found, Value::from(expected.clone()));
    }

    /// What the calls that all clients have must have led to.
    async fn assert_core(&self) {
        let merged = json!({"email": "U@x.io", "plan": "a", "city": "x"});
        assert_eq!(self.sim("people/u").await, merged);
        for gone in ["other", ODD, "bad"] {
            assert_eq!(self.sim(&format!("people/{gone}")).await, Value::Null);
        }
        let devices = self.sim("people/u/belongings").await["devices"].take();
        assert_eq!(devices.as_object().unwrap().len(), 1, "{devices}");
        assert_eq!(devices["t/1"]["platform"], "ios");
        let bought = self.sim("events").await["events"][0].take();
        let expected = json!({"sequence": 1, "id": ULID, "person": "u", "name": "bought",
                              "type": "event", "timestamp": 1_700_000_000});
        assert_eq!(bought, expected);
    }
}

fn client(
    certificates: Option<&Certificates>,
) -> Client<HttpsConnector<HttpConnector>, Empty<Bytes>> {
    let mut roots = RootCertStore::empty();
    if let Some(certificates) = certificates {
        roots.add(certificates.authority.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new()).build(connector)
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// That `make setup` installed what is locked now.
fn assert_installed(marker: &str, lock: &str) {
    let read = |path| std::fs::read(in_repository(path)).ok();
    let installed = read(marker);
    let good = installed.is_some() && installed == read(lock);
    assert!(good, "{lock} is not what is installed: {REMEDY}");
}

/// The JSON that a program prints. It inherits only PATH: a setting of the person who runs the tests,
/// such as a proxy, is none of the test.
async fn run(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Value {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(variables.iter().copied());
    serde_json::from_slice(&output(command).await).unwrap()
}

async fn output(mut command: Command) -> Vec<u8> {
    let name = format!("{command:?}");
    let run = move || command.stdin(Stdio::null()).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}; {REMEDY}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    output.stdout
}

async fn run_node(major: &str, url: &str, variables: &[(&str, &str)]) -> Value {
    let folder = format!("tests/clients/{major}");
    let marker = format!("{folder}/node_modules/.installed-lock.json");
    assert_installed(&marker, &format!("{folder}/package-lock.json"));
    let script = in_repository(&format!("{folder}/client.mjs"));
    let arguments = [script.to_str().unwrap(), url];
    run(Path::new("node"), &arguments, variables).await
}

/// Builds the program of the Go client, and says where it is.
async fn build_go() -> PathBuf {
    let program = in_repository("target/clients/go");
    let mut command = Command::new("go");
    command
        .current_dir(in_repository("tests/clients/go"))
        .args(["build", "-o", program.to_str().unwrap(), "."])
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local");
    output(command).await;
    program
}

fn events(expected: &[[&str; 3]]) -> Vec<[String; 3]> {
    expected.iter().map(|it| it.map(str::to_owned)).collect()
}

#[tokio::test]
async fn node_5_cannot_tell() {
    let simulator = Simulator::http("key").await;
    let printed = run_node("node5", &simulator.url, &[]).await;
    let blank = json!({"batch_index": 4, "reason": "required", "field": "name",
                       "message": "event name must not be blank"});
    let expected =
        json!({"left_out": [], "batch": {"errors": [blank]}, "region": "us", "refused": 401});
    assert_eq!(printed, expected);
    simulator.assert_core().await;
    let counts = json!({
        "people": 4, "identifies": 6, "deletes": 1, "events": 4, "duplicates": 1, "device_changes": 5,
        "merges": 1, "segment_changes": 3, "forms": 1, "reports": 2, "unsubscribes": 1,
        "relationships": 2, "suppressed": 1, "dropped": 1, "invalid": 1, "requests": 28,
        "requests_by_status": {"200": 25, "204": 1, "207": 1, "401": 1},
    });
    simulator.assert_counts(&counts).await;
    let expected = [
        ["u", "event", "bought"],
        ["anon", "event", "seen"],
        ["u", "page", "/pricing"],
        ["b", "screen", "home"],
    ];
    assert_eq!(simulator.events().await, events(&expected));
    let segments = simulator.sim("people/u/belongings").await["segments"].take();
    assert_eq!(segments, json!([7]));
    let submitted = json!({"email": "form@x.io", "first_name": "Fa"});
    assert_eq!(simulator.sim("people/form@x.io").await, submitted);
    let none = json!({"devices": {}, "segments": []});
    assert_eq!(simulator.sim("people/b/belongings").await, none);
}

#[tokio::test]
async fn node_4_cannot_tell() {
    let simulator = Simulator::https("key").await;
    let authority = simulator.certificates.as_ref().unwrap().file("ca.crt");
    let trust = [("NODE_EXTRA_CA_CERTS", authority.as_str())];
    let printed = run_node("node4", &simulator.url, &trust).await;
    assert_eq!(printed, json!({"left_out": []}));
    simulator.assert_core().await;
    let counts = json!({
        "people": 2, "identifies": 5, "deletes": 1, "events": 3, "duplicates": 1, "device_changes": 3,
        "merges": 1, "reports": 1, "suppressed": 1, "dropped": 1, "invalid": 0,
        "requests_by_status": {"200": 18},
    });
    simulator.assert_counts(&counts).await;
    let expected = [
        ["u", "event", "bought"],
        ["anon", "event", "seen"],
        ["u", "page", "/pricing"],
    ];
    assert_eq!(simulator.events().await, events(&expected));
}

#[tokio::test]
async fn python_cannot_tell() {
    let marker = "target/clients/python/.installed-requirements.txt";
    assert_installed(marker, "tests/clients/python/requirements.txt");
    let simulator = Simulator::https("key").await;
    let authority = simulator.certificates.as_ref().unwrap().file("ca.crt");
    let program = in_repository("target/clients/python/bin/python");
    let script = in_repository("tests/clients/python/client.py");
    let port = simulator.port.to_string();
    let arguments = [script.to_str().unwrap(), port.as_str()];
    let trust = [("REQUESTS_CA_BUNDLE", authority.as_str())];
    let printed = run(&program, &arguments, &trust).await;
    let blank = json!({"batch_index": 2, "reason": "required", "field": "name",
                       "message": "event name must not be blank"});
    let expected = json!({"left_out": [], "batch": {"errors": [blank]}});
    assert_eq!(printed, expected);
    simulator.assert_core().await;
    let counts = json!({
        "people": 3, "identifies": 6, "deletes": 1, "events": 5, "duplicates": 1, "device_changes": 3,
        "merges": 1, "suppressed": 1, "dropped": 1, "invalid": 1,
        "requests_by_status": {"200": 18, "207": 1},
    });
    simulator.assert_counts(&counts).await;
    let expected = [
        ["u", "event", "bought"],
        ["anon", "event", "seen"],
        ["u", "page", "/pricing"],
        ["u", "event", "once"],
        ["b", "event", "batched"],
    ];
    assert_eq!(simulator.events().await, events(&expected));
}

#[tokio::test]
async fn go_cannot_tell() {
    let program = build_go().await;
    // The key makes the two alphabets of base64 differ: this client writes the one for URLs.
    let simulator = Simulator::http("key?>").await;
    let printed = run(&program, &[&simulator.url], &[]).await;
    assert_eq!(printed, json!({"left_out": []}));
    simulator.assert_core().await;
    let counts = json!({
        "people": 2, "identifies": 4, "deletes": 1, "events": 3, "duplicates": 1, "device_changes": 3,
        "merges": 1, "segment_changes": 3, "dropped": 0, "invalid": 0,
        "requests_by_status": {"200": 16},
    });
    simulator.assert_counts(&counts).await;
    let expected = [
        ["u", "event", "bought"],
        ["anon", "event", "seen"],
        ["u", "page", "/pricing"],
    ];
    assert_eq!(simulator.events().await, events(&expected));
    let segments = simulator.sim("people/u/belongings").await["segments"].take();
    assert_eq!(segments, json!([7]));
}

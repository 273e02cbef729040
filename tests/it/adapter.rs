//! The adapter over real TLS on loopback, with real certificates, and sidecars that answer over
//! HTTP. Only the verdicts of the API server (`TokenReview`, `SubjectAccessReview`) are supplied.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use cio_operator::adapter::auth::identity::Identity;
use cio_operator::adapter::auth::review::{Access, ReviewError, Reviewer};
use cio_operator::adapter::auth::trust::Trust;
use cio_operator::adapter::gate::Gate;
use cio_operator::adapter::hold::Holds;
use cio_operator::adapter::metrics::AdapterMetrics;
use cio_operator::adapter::pod_client::PodClient;
use cio_operator::adapter::pods::PodStore;
use cio_operator::adapter::server::{Sources, router};
use cio_operator::adapter::{MetricsApi, Served, handshake};
use cio_operator::runtime::clock::Clock;
use cio_operator::runtime::tls;
use cio_operator::runtime::tls::server::ConnectionMetrics;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake as http_handshake};
use hyper_util::rt::TokioIo;
use prometheus::{IntCounter, IntGauge, Registry};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

const NAME: &str = "cio-adapter.cio.svc";
const METRIC: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/cio_queue_depth\
                      ?labelSelector=cio.dev%2Fpipeline%3Devents";
const HPA: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";

/// A certificate authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key.
struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

fn subject(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = subject(name, None);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    fn sign(&self, mut params: CertificateParams) -> Credentials {
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Credentials {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap(),
        }
    }

    fn client(&self, common_name: &str, organization: Option<&str>) -> Credentials {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(common_name, organization);
        self.sign(params)
    }

    /// A serving certificate for the adapter.
    fn serving(&self) -> Arc<CertifiedKey> {
        let serving = self.sign(CertificateParams::new([NAME.to_owned()]).unwrap());
        let serving = CertifiedKey::from_der(serving.chain, serving.key, &tls::provider()).unwrap();
        Arc::new(serving)
    }

    fn root(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }
}

/// What kube-apiserver writes into `kube-system/extension-apiserver-authentication`.
fn trust(front_proxy: &Authority, clients: &Authority) -> Arc<Trust> {
    let data = BTreeMap::from(
        [
            ("client-ca-file", clients.pem.as_str()),
            ("requestheader-client-ca-file", front_proxy.pem.as_str()),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            (
                "requestheader-extra-headers-prefix",
                r#"["X-Remote-Extra-"]"#,
            ),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    Arc::new(Trust::from_config(&data).unwrap())
}

/// The verdicts: who may, whose token; and what was asked.
#[derive(Debug, Default)]
struct Verdicts {
    unreachable: bool,
    asked: Mutex<Vec<(Identity, Access)>>,
}

#[async_trait]
impl Reviewer for Verdicts {
    async fn identify(&self, token: &str) -> Result<Option<Identity>, ReviewError> {
        Ok((token == "good").then(|| Identity {
            user: "reader".to_owned(),
            ..Identity::default()
        }))
    }

    async fn may(&self, caller: &Identity, access: &Access) -> Result<bool, ReviewError> {
        self.asked
            .lock()
            .unwrap()
            .push((caller.clone(), access.clone()));
        if self.unreachable {
            return Err(ReviewError::OutOfTime);
        }
        Ok(caller.user == HPA || caller.user == "reader")
    }
}

/// Something that listens where a sidecar would.
struct Sidecar {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Sidecar {
    async fn saying(text: String) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let metrics = get(move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(text)
        });
        Self::serving(Router::new().route("/metrics", metrics), asked).await
    }

    async fn with_depth(depth: &str) -> Self {
        Self::saying(metrics_text(depth, Clock::system().now().as_second())).await
    }

    /// With the used part of the limit, and whether the circuit is open, where they are known.
    async fn with_limit(depth: &str, limit: Option<(f64, u8)>) -> Self {
        let mut text = metrics_text(depth, Clock::system().now().as_second());
        if let Some((used, open)) = limit {
            let limit = format!("cio_limit_used_ratio {used}\ncio_limit_circuit_open {open}\n");
            text = [text.as_str(), "cio_limit_requests_per_second 80\n", &limit].concat();
        }
        Self::saying(text).await
    }

    async fn hanging() -> Self {
        let metrics = get(std::future::pending::<String>);
        Self::serving(Router::new().route("/metrics", metrics), Arc::default()).await
    }

    async fn serving(router: Router, asked: Arc<AtomicUsize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked }
    }
}

fn metrics_text(depth: &str, read_at: i64) -> String {
    let labels = r#"{pipeline="events",queue="cio-events"}"#;
    format!("cio_queue_depth{labels} {depth}\ncio_queue_read_timestamp_seconds{labels} {read_at}\n")
}

fn pod(name: &str, phase: &str, sidecar: SocketAddr) -> k8s_openapi::api::core::v1::Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"cio.dev/pipeline": "events"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "events", "uid": "1",
                "controller": true,
            }],
        },
        "spec": {
            "containers": [],
            "initContainers": [{
                "name": "metrics",
                "ports": [{"name": "metrics", "containerPort": sidecar.port()}],
            }],
        },
        "status": {
            "phase": phase,
            "podIP": sidecar.ip().to_string(),
            "initContainerStatuses": [{
                "name": "metrics", "ready": true, "restartCount": 0, "image": "", "imageID": "",
            }],
        },
    }))
    .unwrap()
}

/// At once: fewer than it has room for by itself.
const CONNECTIONS: usize = 64;

/// A running adapter and everything around it.
struct Bench {
    address: SocketAddr,
    serving_authority: Authority,
    front_proxy: Authority,
    clients: Authority,
    trust: watch::Sender<Arc<Trust>>,
    gate: watch::Sender<Gate>,
    pods: Arc<PodStore>,
    holds: Arc<Holds>,
    verdicts: Arc<Verdicts>,
    certificate: watch::Sender<Arc<CertifiedKey>>,
}

impl Bench {
    async fn new() -> Self {
        Self::with(Verdicts::default()).await
    }

    async fn with(verdicts: Verdicts) -> Self {
        let [serving_authority, front_proxy, clients] =
            ["serving", "front-proxy-ca", "kubernetes"].map(Authority::new);
        let (certificate_sender, certificate) = watch::channel(serving_authority.serving());
        let (trust_sender, trust) = watch::channel(trust(&front_proxy, &clients));
        let (gate_sender, gate) = watch::channel(Gate::Open(BTreeMap::new()));
        let holds = Arc::new(Holds::default());
        let (pods, verdicts) = (Arc::new(PodStore::default()), Arc::new(verdicts));
        let reviewer: Arc<dyn Reviewer> = Arc::<Verdicts>::clone(&verdicts);
        let (configs, follow) = handshake::configs(certificate, trust.clone()).unwrap();
        tokio::spawn(follow);
        let router = router(Sources {
            served: Served::new(&[MetricsApi::Custom, MetricsApi::External]),
            gate,
            trust,
            reviewer,
            pods: Arc::clone(&pods),
            holds: Arc::clone(&holds),
            client: PodClient::new().unwrap(),
            clock: Clock::system(),
            metrics: AdapterMetrics::new(&Registry::new()).unwrap(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(tls::server::serve_at_most(
            CONNECTIONS,
            listener,
            configs,
            router,
            counted(),
            stop,
        ));
        Self {
            address,
            serving_authority,
            front_proxy,
            clients,
            trust: trust_sender,
            gate: gate_sender,
            pods,
            holds,
            verdicts,
            certificate: certificate_sender,
        }
    }

    fn proxy(&self) -> Credentials {
        self.front_proxy.client("front-proxy-client", None)
    }

    async fn connect(&self, credentials: Option<Credentials>) -> Caller {
        let believed = [self.serving_authority.root()];
        self.try_connect(credentials, &believed).await.unwrap()
    }

    /// As a caller that believes these authorities.
    async fn try_connect(
        &self,
        credentials: Option<Credentials>,
        believed: &[CertificateDer<'static>],
    ) -> std::io::Result<Caller> {
        let tls = self.try_tls(credentials, believed).await?;
        let (sender, connection) = http_handshake(TokioIo::new(tls)).await.unwrap();
        // How a connection ends is seen by its requests.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Caller(sender))
    }

    async fn try_tls(
        &self,
        credentials: Option<Credentials>,
        believed: &[CertificateDer<'static>],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        for authority in believed {
            roots.add(authority.clone()).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match credentials {
            None => builder.with_no_client_auth(),
            Some(Credentials { chain, key }) => builder.with_client_auth_cert(chain, key).unwrap(),
        };
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from(NAME).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
    }

    /// One request on a connection of its own.
    async fn get(
        &self,
        credentials: Option<Credentials>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        self.connect(credentials)
            .await
            .get(path, headers)
            .await
            .unwrap()
    }

    fn when_saturated(&self, when: &str) {
        let manifest = format!(
            "apiVersion: cio.dev/v1alpha1\nkind: CioPipeline\nmetadata: {{name: events}}\nspec:\n  \
             queue: {{redis: {{url: 'redis://redis'}}}}\n  \
             autoscaling: {{queueDepth: 300, whenSaturated: {when}}}\n"
        );
        let pipeline = cio_operator::api::parse(&manifest).unwrap();
        self.holds.set("shop", "events", Some(&pipeline.spec));
    }

    /// What an HPA with an External metric is told.
    async fn total(&self) -> Option<String> {
        let path = format!("{EXTERNAL}?labelSelector=pipeline%3Devents");
        let headers = [("x-remote-user", HPA)];
        let (code, document) = self.get(Some(self.proxy()), &path, &headers).await;
        assert_eq!(code, 200, "{document}");
        let value = document.pointer("/items/0/value")?;
        Some(value.as_str().unwrap().to_owned())
    }

    /// The HPA's request, through the front proxy.
    async fn ask_as_hpa(&self) -> (u16, Value) {
        self.get(Some(self.proxy()), METRIC, &[("x-remote-user", HPA)])
            .await
    }
}

fn counted() -> ConnectionMetrics {
    ConnectionMetrics {
        open: IntGauge::new("open", "Open.").unwrap(),
        failed_handshakes: IntCounter::new("failed", "Failed.").unwrap(),
    }
}

/// A connection to the adapter.
struct Caller(SendRequest<Empty<Bytes>>);

impl Caller {
    async fn get(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, Value), hyper::Error> {
        let mut request = Request::get(path).header("host", NAME);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self
            .0
            .send_request(request.body(Empty::new()).unwrap())
            .await?;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((code, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// Pod and value of every item.
fn values(document: &Value) -> Vec<(&str, &str)> {
    let items = document["items"].as_array().unwrap();
    let text = |value: &'static str| move |item: &Value| item.pointer(value).is_some();
    assert!(items.iter().all(text("/timestamp")));
    items
        .iter()
        .map(|item| {
            let name = item["describedObject"]["name"].as_str().unwrap();
            (name, item["value"].as_str().unwrap())
        })
        .collect()
}

const EXTERNAL: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/cio_queue_depth";

#[tokio::test]
async fn the_external_metric_is_the_whole_queue_of_the_pipelines_that_are_asked_for() {
    let bench = Bench::new().await;
    let sidecar = Sidecar::with_depth("2001").await;
    for name in ["a", "b"] {
        bench.pods.apply(&pod(name, "Running", sidecar.address));
    }
    for (selector, expected) in [("events", vec!["2001"]), ("other", Vec::new())] {
        let path = format!("{EXTERNAL}?labelSelector=pipeline%3D{selector}");
        let headers = [("x-remote-user", HPA)];
        let (code, document) = bench.get(Some(bench.proxy()), &path, &headers).await;
        assert_eq!(
            (code, &document["kind"]),
            (200, &json!("ExternalMetricValueList"))
        );
        let items = document["items"].as_array().unwrap();
        let values: Vec<_> = items
            .iter()
            .map(|it| it["value"].as_str().unwrap())
            .collect();
        assert_eq!(values, expected, "{document}");
    }
    // The second answer to the same question is remembered.
    let (_, access) = bench.verdicts.asked.lock().unwrap().pop().unwrap();
    let described = (
        access.verb,
        access.group,
        access.resource,
        access.subresource,
    );
    let external = "external.metrics.k8s.io";
    assert_eq!(described, ("list", external, "cio_queue_depth", ""));
}

#[tokio::test]
async fn the_hpa_gets_a_share_for_every_running_pod_and_for_no_other() {
    let bench = Bench::new().await;
    let sidecar = Sidecar::with_depth("2001").await;
    for (name, phase) in [
        ("a", "Running"),
        ("b", "Running"),
        ("c", "Pending"),
        ("d", "Failed"),
    ] {
        bench.pods.apply(&pod(name, phase, sidecar.address));
    }
    let (code, document) = bench.ask_as_hpa().await;
    assert_eq!(code, 200, "{document}");
    assert_eq!(values(&document), [("a", "1000500m"), ("b", "1000500m")]);
    let (asked_by, access) = bench.verdicts.asked.lock().unwrap().pop().unwrap();
    assert_eq!(asked_by.groups, ["system:authenticated"]);
    let described = (
        access.verb,
        access.group,
        access.resource,
        access.subresource,
    );
    let expected = ("get", "custom.metrics.k8s.io", "pods", "cio_queue_depth");
    assert_eq!(described, expected);
    assert_eq!(
        (access.namespace.as_str(), access.name.as_str()),
        ("shop", "*")
    );
}

#[tokio::test]
async fn a_pipeline_that_holds_is_never_told_to_grow_while_more_pods_could_do_nothing() {
    for (what, when, depth, limit, share) in [
        ("used up", "Hold", "2000", Some((0.97, 0)), "300"),
        ("nothing is sent", "Hold", "2000", Some((0.0, 1)), "300"),
        (
            "used up, and little to do",
            "Hold",
            "500",
            Some((0.97, 0)),
            "250",
        ),
        ("room", "Hold", "2000", Some((0.5, 0)), "1000"),
        ("another's worker", "Hold", "2000", None, "1000"),
        (
            "used up, and pods are to be ready",
            "Scale",
            "2000",
            Some((0.97, 0)),
            "1000",
        ),
    ] {
        let bench = Bench::new().await;
        bench.when_saturated(when);
        let sidecar = Sidecar::with_limit(depth, limit).await;
        for name in ["a", "b"] {
            bench.pods.apply(&pod(name, "Running", sidecar.address));
        }
        let (_, document) = bench.ask_as_hpa().await;
        assert_eq!(values(&document), [("a", share), ("b", share)], "{what}");
        // The HPA divides a total by all its pods, also by one that does not run yet.
        for (name, phase) in [("c", "Pending"), ("d", "Failed")] {
            bench.pods.apply(&pod(name, phase, sidecar.address));
        }
        let held = if share == "300" { "900" } else { depth };
        assert_eq!(bench.total().await, Some(held.to_owned()), "{what}");
    }
}

#[tokio::test]
async fn a_pipeline_that_holds_is_told_no_total_while_its_pods_are_replaced() {
    // The HPA takes pods of a new template beside the old ones for as many that were asked for.
    let used_up = Some((0.97, 0));
    for (what, when, limit, phase, expected) in [
        ("used up", "Hold", used_up, "Pending", None),
        ("nothing is sent", "Hold", Some((0.0, 1)), "Running", None),
        (
            "the old one is over",
            "Hold",
            used_up,
            "Failed",
            Some("300"),
        ),
        ("room", "Hold", Some((0.5, 0)), "Running", Some("2000")),
        ("it scales", "Scale", used_up, "Running", Some("2000")),
    ] {
        let bench = Bench::new().await;
        bench.when_saturated(when);
        let sidecar = Sidecar::with_limit("2000", limit).await;
        for (name, phase, template) in [("a", "Running", "1"), ("b", phase, "2")] {
            let mut pod = pod(name, phase, sidecar.address);
            let labels = pod.metadata.labels.as_mut().unwrap();
            labels.insert("pod-template-hash".to_owned(), template.to_owned());
            bench.pods.apply(&pod);
        }
        assert_eq!(bench.total().await.as_deref(), expected, "{what}");
        // Shares are averaged and multiplied by the pods that were asked for.
        let (_, document) = bench.ask_as_hpa().await;
        assert_ne!(values(&document), [], "{what}");
    }
}

#[tokio::test]
async fn remote_headers_count_for_nothing_without_the_front_proxys_certificate() {
    let bench = Bench::new().await;
    let master = [
        ("x-remote-user", "admin"),
        ("x-remote-group", "system:masters"),
    ];
    let same_name_other_authority = bench.clients.client("front-proxy-client", None);
    let other_name = bench.front_proxy.client("somebody", None);
    for (who, credentials, expected) in [
        ("no certificate", None, 401),
        ("a name that is not allowed", Some(other_name), 401),
        // A known user of the cluster, who is asked about by that name, and may not.
        (
            "a user of the cluster",
            Some(same_name_other_authority),
            403,
        ),
    ] {
        let (code, document) = bench.get(credentials, METRIC, &master).await;
        assert_eq!(code, expected, "{who}: {document}");
        assert_eq!(document["kind"], "Status", "{who}");
    }
    let asked = bench.verdicts.asked.lock().unwrap();
    let users: Vec<_> = asked
        .iter()
        .map(|(caller, _)| caller.user.as_str())
        .collect();
    assert_eq!(users, ["front-proxy-client"]);
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_in_the_handshake() {
    let bench = Bench::new().await;
    let stranger = Authority::new("front-proxy-ca").client("front-proxy-client", None);
    let mut caller = bench.connect(Some(stranger)).await;
    caller
        .get(METRIC, &[("x-remote-user", HPA)])
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_renewed_certificate_fails_no_request_on_connections_old_and_new() {
    let bench = Bench::new().await;
    let next = Authority::new("next");
    let both = [bench.serving_authority.root(), next.root()];
    let ask = async |caller: &mut Caller| {
        let answer = caller.get(METRIC, &[("x-remote-user", HPA)]).await;
        answer
            .map(|(code, _)| code)
            .map_err(|error| error.to_string())
    };
    let mut kept = bench.connect(Some(bench.proxy())).await;
    for round in 0..30 {
        if round % 10 == 5 {
            let authority = if round == 15 {
                &bench.serving_authority
            } else {
                &next
            };
            bench.certificate.send_replace(authority.serving());
        }
        assert_eq!(ask(&mut kept).await, Ok(200), "kept, round {round}");
        let mut fresh = bench.try_connect(Some(bench.proxy()), &both).await.unwrap();
        assert_eq!(ask(&mut fresh).await, Ok(200), "fresh, round {round}");
    }
    // What is shown is the new one: who believes the old authority alone is not convinced.
    let old = [bench.serving_authority.root()];
    assert!(bench.try_connect(Some(bench.proxy()), &old).await.is_err());
}

#[tokio::test]
async fn direct_callers_are_known_by_certificate_or_token() {
    let bench = Bench::new().await;
    let bearer = |token: &str| format!("Bearer {token}");
    let (good, bad) = (bearer("good"), bearer("bad"));
    let master = bench
        .clients
        .client("kubernetes-admin", Some("system:masters"));
    let reader = bench.clients.client("reader", None);
    for (who, credentials, authorization, expected) in [
        ("a master", Some(master), None, 200),
        ("a reader", Some(reader), None, 200),
        ("a known token", None, Some(&good), 200),
        ("an unknown token", None, Some(&bad), 401),
        ("nobody", None, None, 401),
    ] {
        let headers: Vec<_> = authorization
            .map(|value| ("authorization", value.as_str()))
            .into_iter()
            .collect();
        let (code, document) = bench.get(credentials, METRIC, &headers).await;
        assert_eq!(code, expected, "{who}: {document}");
    }
}

#[tokio::test]
async fn who_may_not_is_told_so_and_verdicts_are_kept() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        let headers = [("x-remote-user", "eve")];
        let (code, document) = bench.get(Some(bench.proxy()), METRIC, &headers).await;
        assert_eq!(
            (code, &document["reason"]),
            (403, &json!("Forbidden")),
            "{document}"
        );
        let message = document["message"].as_str().unwrap();
        assert!(message.contains(r#"User "eve" cannot get"#), "{message}");
    }
    assert_eq!(bench.verdicts.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn when_nobody_can_tell_the_answer_is_not_now_and_it_is_asked_again() {
    let bench = Bench::with(Verdicts {
        unreachable: true,
        ..Verdicts::default()
    })
    .await;
    for _ in 0..2 {
        let (code, document) = bench.ask_as_hpa().await;
        assert_eq!(code, 503, "{document}");
    }
    assert_eq!(bench.verdicts.asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_not_known_is_an_empty_list_and_never_zero() {
    let now = Clock::system().now().as_second();
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let stale = Sidecar::saying(metrics_text("7", now - 60)).await.address;
    let blind = Sidecar::saying("cio_queue_scrape_errors_total 1\n".to_owned())
        .await
        .address;
    for (what, sidecar) in [("stale", stale), ("blind", blind), ("unreachable", closed)] {
        let bench = Bench::new().await;
        bench.pods.apply(&pod("a", "Running", sidecar));
        let (code, document) = bench.ask_as_hpa().await;
        assert_eq!((code, &document["items"]), (200, &json!([])), "{what}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Sidecar::with_depth("5").await;
    let to = format!("http://{}/metrics", target.address);
    let redirect = get(move || std::future::ready(axum::response::Redirect::temporary(&to)));
    let router = Router::new().route("/metrics", redirect);
    let sidecar = Sidecar::serving(router, Arc::default()).await;
    let bench = Bench::new().await;
    bench.pods.apply(&pod("a", "Running", sidecar.address));
    let (code, document) = bench.ask_as_hpa().await;
    assert_eq!((code, &document["items"]), (200, &json!([])));
    assert_eq!(target.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_second_sidecar_is_asked_when_the_first_hangs_or_floods() {
    let flood = Sidecar::saying(metrics_text("1", 0) + &"# x\n".repeat(20_000)).await;
    for first in [Sidecar::hanging().await, flood] {
        let second = Sidecar::with_depth("30").await;
        let bench = Bench::new().await;
        bench.pods.apply(&pod("a", "Running", first.address));
        bench.pods.apply(&pod("b", "Running", second.address));
        let (_, document) = bench.ask_as_hpa().await;
        assert_eq!(values(&document), [("a", "15"), ("b", "15")]);
    }
}

#[tokio::test]
async fn many_askers_cost_the_sidecar_one_request() {
    let bench = Bench::new().await;
    let sidecar = Sidecar::with_depth("500").await;
    bench.pods.apply(&pod("a", "Running", sidecar.address));
    let answers = futures::future::join_all((0..20).map(|_| bench.ask_as_hpa())).await;
    for (code, document) in &answers {
        assert_eq!((*code, values(document)), (200, vec![("a", "500")]));
    }
    assert_eq!(sidecar.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn authorities_rotate_without_a_restart() {
    let bench = Bench::new().await;
    let user = [("x-remote-user", HPA)];
    let mut kept = bench.connect(Some(bench.proxy())).await;
    assert_eq!(kept.get(METRIC, &user).await.unwrap().0, 200);

    let next = Authority::new("front-proxy-ca-2");
    bench.trust.send_replace(trust(&next, &bench.clients));
    let renewed = || next.client("front-proxy-client", None);
    // The new authority holds as soon as the handshake's configuration has followed.
    let mut code = 0;
    for _ in 0..200 {
        let mut caller = bench.connect(Some(renewed())).await;
        if let Ok((answered, _)) = caller.get(METRIC, &user).await {
            code = answered;
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(code, 200);
    // What the old authority signed is worth nothing any more, on a kept connection either.
    let old = kept.get(METRIC, &user).await.map(|(code, _)| code);
    assert!(!matches!(old, Ok(200)), "{old:?}");
    let mut again = bench.connect(Some(bench.proxy())).await;
    again.get(METRIC, &user).await.unwrap_err();
}

#[tokio::test]
async fn idle_connections_make_room_for_one_that_asks() {
    let bench = Bench::new().await;
    let user = [("x-remote-user", HPA)];
    let mut hpa = bench.connect(Some(bench.proxy())).await;
    assert_eq!(hpa.get(METRIC, &user).await.unwrap().0, 200);
    // They ask nothing, and begin no handshake.
    let mut silent = Vec::new();
    for _ in 0..2 * CONNECTIONS {
        silent.push(TcpStream::connect(bench.address).await.unwrap());
    }
    let (code, document) = bench.ask_as_hpa().await;
    assert_eq!(code, 200, "{document}");
    let (code, _) = hpa.get(METRIC, &user).await.unwrap();
    assert_eq!(code, 200, "who has asked stays while others have not");
    drop(silent);

    let mut strangers = Vec::new();
    for (path, code) in [("/healthz", 200), (METRIC, 401)] {
        for _ in 0..CONNECTIONS {
            let mut caller = bench.connect(None).await;
            assert_eq!(caller.get(path, &[]).await.unwrap().0, code);
            strangers.push(caller);
        }
    }
    let (code, _) = hpa.get(METRIC, &user).await.unwrap();
    assert_eq!(code, 200, "who was known stays while others were not");
    let (code, document) = bench.ask_as_hpa().await;
    assert_eq!(code, 200, "all had asked, and none asks: {document}");
}

#[tokio::test]
async fn a_stranger_that_is_amid_a_requests_head_makes_room_at_once() {
    let bench = Bench::new().await;
    let (begun, rest) = ("GET /healthz HTTP/1.1\r\nhost: ", "adapter\r\n\r\n");
    let mut amid = Vec::new();
    for _ in 0..CONNECTIONS {
        let believed = [bench.serving_authority.root()];
        let mut stream = bench.try_tls(None, &believed).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        amid.push(stream);
    }
    assert_eq!(bench.ask_as_hpa().await.0, 200);
    // Others than the first were not asked to go meanwhile: the last one can ask, and ask again.
    let mut last = amid.pop().unwrap();
    for text in [rest, &[begun, rest].concat()] {
        last.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok\n") {
            let read = last.read_buf(&mut answer).await.unwrap();
            assert_ne!(read, 0, "closed");
        }
    }
}

#[tokio::test]
async fn health_is_public_and_a_group_of_somebody_elses_is_closed_alone() {
    let bench = Bench::new().await;
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(bench.get(None, path, &[]).await.0, 200, "{path}");
    }
    let why = "APIService v1beta2.custom.metrics.k8s.io belongs to Service monitoring/other";
    let (custom, external) = ("custom.metrics.k8s.io", "external.metrics.k8s.io");
    let mut foreign = BTreeMap::from([(custom, why.to_owned())]);
    bench.gate.send_replace(Gate::Open(foreign.clone()));
    let (code, document) = bench.ask_as_hpa().await;
    assert_eq!((code, &document["message"]), (503, &json!(why)));
    let user = [("x-remote-user", HPA)];
    let resources = "/apis/external.metrics.k8s.io/v1beta1";
    let (code, _) = bench.get(Some(bench.proxy()), resources, &user).await;
    assert_eq!(code, 200, "the other group is ours");
    assert_eq!(bench.get(None, "/readyz", &[]).await.0, 200);

    foreign.insert(external, why.to_owned());
    bench.gate.send_replace(Gate::Open(foreign));
    let (code, _) = bench.get(Some(bench.proxy()), resources, &user).await;
    assert_eq!(code, 503);
    assert_eq!(bench.get(None, "/healthz", &[]).await.0, 200);
    assert_eq!(bench.get(None, "/readyz", &[]).await.0, 503);
}

#[tokio::test]
async fn discovery_is_for_whoever_is_known() {
    let bench = Bench::new().await;
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let headers = [
        ("x-remote-user", "system:kube-aggregator"),
        ("accept", aggregated),
    ];
    for (path, kind) in [
        ("/apis", "APIGroupList"),
        ("/apis/custom.metrics.k8s.io", "APIGroup"),
        ("/apis/custom.metrics.k8s.io/v1beta1", "APIResourceList"),
        ("/apis/custom.metrics.k8s.io/v1beta2", "APIResourceList"),
    ] {
        let (code, document) = bench.get(Some(bench.proxy()), path, &headers).await;
        assert_eq!((code, &document["kind"]), (200, &json!(kind)), "{path}");
        assert_eq!(bench.get(None, path, &[]).await.0, 401, "{path}");
    }
    for path in ["/openapi/v2", "/openapi/v3"] {
        let (code, document) = bench.get(Some(bench.proxy()), path, &headers).await;
        assert_eq!(
            (code, &document["reason"]),
            (404, &json!("NotFound")),
            "{path}"
        );
    }
    assert!(bench.verdicts.asked.lock().unwrap().is_empty());
}

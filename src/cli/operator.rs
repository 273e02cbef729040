//! `cio operator`.

use anyhow::Context;
use clap::{ArgAction, Args};
use kube::Client;
use prometheus::Registry;

use super::CommandError;
use super::metrics_apis::MetricsApis;
use crate::adapter::ownership::ServiceName;
use crate::operator::{self, Election, Options, Serving, Settings};
use crate::runtime::admin::{self, Readiness};
use crate::runtime::pulse::Pulse;
use crate::runtime::{cluster, http_server, shutdown};

/// Run the controller: every `CioPipeline` becomes a worker Deployment and an HPA.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cio operator --image registry.example.com/cio-operator:0.1.0")]
pub(super) struct Operator {
    /// The image of the sidecar, and of workers that name none: the operator's own.
    #[arg(long, env = "CIO_IMAGE")]
    image: String,

    /// When the kubelet pulls that image: `Always`, `IfNotPresent` or `Never`; empty is Kubernetes' default.
    #[arg(
        long,
        env = "CIO_IMAGE_PULL_POLICY",
        default_value = "",
        hide_default_value = true
    )]
    image_pull_policy: String,

    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long, env = "CIO_OPERATOR_LISTEN", default_value = "0.0.0.0:8080")]
    listen: String,

    /// Write only while holding a Lease, so that several replicas may run; false for one that runs alone.
    #[arg(
        long,
        env = "CIO_LEADER_ELECT",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = ArgAction::Set
    )]
    leader_elect: bool,

    /// The Lease's name.
    #[arg(
        long,
        env = "CIO_LEASE_NAME",
        value_name = "NAME",
        default_value = "cio-operator"
    )]
    lease_name: String,

    /// The Lease's namespace: the pod's, or the context's outside a cluster, where empty.
    #[arg(
        long,
        env = "POD_NAMESPACE",
        value_name = "NAMESPACE",
        default_value = "",
        hide_default_value = true
    )]
    lease_namespace: String,

    /// Who holds the Lease, for people: this process adds a random part.
    #[arg(
        long,
        env = "POD_NAME",
        value_name = "NAME",
        default_value = "cio-operator"
    )]
    identity: String,

    /// The adapter's Service, whose certificate the operator makes and renews; empty where it does not.
    #[arg(
        long,
        env = "CIO_ADAPTER_SERVICE",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    adapter_service: String,

    /// The Secret for that certificate, in the Lease's namespace; it has to exist.
    #[arg(
        long,
        env = "CIO_CERTIFICATE_SECRET",
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    certificate_secret: String,

    #[command(flatten)]
    apis: MetricsApis,

    /// A namespace whose pipelines to reconcile; repeat it for more. Default: all.
    #[arg(long, env = "CIO_OPERATOR_NAMESPACES", value_delimiter = ',')]
    namespace: Vec<String>,
}

impl Operator {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        if self.image.is_empty() {
            let remedy = "--image (CIO_IMAGE) must name the image that the pods run";
            return Err(CommandError::Usage(remedy.to_owned()));
        }
        let stop = shutdown::on_signals().context("failed to listen for signals")?;
        let registry = Registry::new();
        let readiness = Readiness::default();
        let listener = http_server::bind(&self.listen)
            .await
            .map_err(anyhow::Error::from)?;
        let pulse = Pulse::new(operator::STUCK);
        let watched = self.leader_elect.then(|| pulse.clone());
        let router = admin::router_with_pulse(registry.clone(), readiness.clone(), watched);
        let admin = tokio::spawn(http_server::serve(listener, router, stop.clone()));
        let client = cluster::client(&registry)
            .await
            .map_err(anyhow::Error::from)?;
        let mut namespaces = self.namespace.clone();
        namespaces.retain(|namespace| !namespace.is_empty());
        namespaces.sort_unstable();
        namespaces.dedup();
        let options = Options {
            election: self.election(&client),
            serving: self.serving(&client),
            settings: Settings {
                image: self.image,
                image_pull_policy: self.image_pull_policy,
            },
            registry,
            namespaces,
            pulse,
        };
        let run = operator::run(client, options, stop.clone(), || {
            readiness.ready();
            tracing::info!("operator started");
        });
        let outcome = run.await;
        stop.cancel();
        admin
            .await
            .context("the admin server panicked")?
            .context("the admin server failed")?;
        Ok(outcome.map_err(anyhow::Error::from)?)
    }

    fn election(&self, client: &Client) -> Option<Election> {
        let namespace = self.namespace(client);
        self.leader_elect
            .then(|| Election::new(namespace, self.lease_name.clone(), &self.identity))
    }

    fn serving(&self, client: &Client) -> Option<Serving> {
        let named = !self.adapter_service.is_empty() && !self.certificate_secret.is_empty();
        named.then(|| Serving {
            service: ServiceName {
                namespace: self.namespace(client),
                name: self.adapter_service.clone(),
            },
            secret: self.certificate_secret.clone(),
            served: self.apis.served(),
        })
    }

    fn namespace(&self, client: &Client) -> String {
        if self.lease_namespace.is_empty() {
            client.default_namespace().to_owned()
        } else {
            self.lease_namespace.clone()
        }
    }
}

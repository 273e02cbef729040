//! `cio operator`.

use anyhow::Context;
use clap::Args;
use prometheus::Registry;

use super::CommandError;
use crate::operator::{self, Options, Settings};
use crate::runtime::admin::{self, Readiness};
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
        let router = admin::router(registry.clone(), readiness.clone());
        let admin = tokio::spawn(http_server::serve(listener, router, stop.clone()));
        let client = cluster::client(&registry)
            .await
            .map_err(anyhow::Error::from)?;
        let settings = Settings {
            image: self.image,
            image_pull_policy: self.image_pull_policy,
        };
        let mut namespaces = self.namespace;
        namespaces.retain(|namespace| !namespace.is_empty());
        namespaces.sort_unstable();
        namespaces.dedup();
        let options = Options {
            settings,
            registry,
            namespaces,
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
        Ok(outcome?)
    }
}

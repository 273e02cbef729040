//! `cio adapter`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use prometheus::Registry;

use super::CommandError;
use super::metrics_apis::MetricsApis;
use crate::adapter::ownership::ServiceName;
use crate::adapter::{self, Listeners, Options};
use crate::runtime::tls::files::CertificateFiles;
use crate::runtime::{cluster, http_server, shutdown};

/// Serve custom.metrics.k8s.io: every worker pod's share of its queue, for the HPA; and external.metrics.k8s.io.
#[derive(Debug, Args)]
#[command(
    after_help = "Example, in a pod behind the Service cio/cio-adapter:\n  \
    cio adapter --tls-cert /tls/tls.crt --tls-key /tls/tls.key --service cio-adapter \
    --service-namespace cio"
)]
pub(super) struct Adapter {
    /// Where to listen for the API server, ADDRESS:PORT, over TLS.
    #[arg(long, env = "CIO_ADAPTER_LISTEN", default_value = "0.0.0.0:6443")]
    listen: String,
    /// Where to serve /metrics, /healthz and /readyz, ADDRESS:PORT, in plain HTTP.
    #[arg(
        long,
        env = "CIO_ADAPTER_METRICS_LISTEN",
        default_value = "0.0.0.0:8081"
    )]
    metrics_listen: String,
    /// The serving certificate (PEM, leaf first); read again when it changes.
    #[arg(long, env = "CIO_ADAPTER_TLS_CERT", value_name = "FILE")]
    tls_cert: PathBuf,
    /// Its private key (PEM).
    #[arg(long, env = "CIO_ADAPTER_TLS_KEY", value_name = "FILE")]
    tls_key: PathBuf,
    /// A namespace to serve; repeat it for more. Default: all.
    #[arg(long, env = "CIO_ADAPTER_NAMESPACES", value_delimiter = ',')]
    namespace: Vec<String>,
    #[command(flatten)]
    apis: MetricsApis,
    /// The Service in front of this adapter: the cluster must send our API groups there, else it
    /// answers nothing.
    #[arg(long, env = "CIO_ADAPTER_SERVICE", value_name = "NAME")]
    service: String,
    /// The Service's namespace.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    service_namespace: String,
}

impl Adapter {
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let stop = shutdown::on_signals().context("cannot handle signals")?;
        let registry = Registry::new();
        let client = cluster::client(&registry)
            .await
            .map_err(anyhow::Error::from)?;
        let listeners = Listeners {
            api: http_server::bind(&self.listen).await.context("--listen")?,
            admin: http_server::bind(&self.metrics_listen)
                .await
                .context("--metrics-listen")?,
        };
        let mut namespaces = self.namespace;
        namespaces.retain(|namespace| !namespace.is_empty());
        namespaces.sort_unstable();
        namespaces.dedup();
        let options = Options {
            served: self.apis.served(),
            certificate: CertificateFiles {
                certificate: self.tls_cert,
                key: self.tls_key,
            },
            namespaces,
            registry,
            service: ServiceName {
                namespace: self.service_namespace,
                name: self.service,
            },
        };
        adapter::run(options, cluster::persistent(&client), listeners, stop)
            .await
            .context("the adapter ended")?;
        Ok(())
    }
}

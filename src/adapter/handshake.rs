//! What handshakes need, made anew whenever the cluster's authorities change.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::auth::trust::{Trust, TrustError};
use crate::runtime::tls;

/// Why no TLS configuration can be made.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The certificate cannot be served with.
    #[error("cannot serve TLS: {0}")]
    ConfigureTls(#[from] rustls::Error),
    /// The authorities cannot be used.
    #[error("cannot verify client certificates: {0}")]
    BelieveAuthorities(#[from] TrustError),
}

/// The configuration for the next handshake, and what keeps it up to date while it is polled. A
/// changed certificate is shown without a new configuration: nobody's connection ends for it.
///
/// # Errors
/// When there is nothing to start with; later failures are logged and leave it as it was.
pub fn configs(
    certificate: watch::Receiver<Arc<CertifiedKey>>,
    mut trust: watch::Receiver<Arc<Trust>>,
) -> Result<
    (
        watch::Receiver<Arc<ServerConfig>>,
        impl Future<Output = ()> + Send + 'static,
    ),
    HandshakeError,
> {
    let first = config(&certificate, &trust.borrow_and_update())?;
    let (sender, configs) = watch::channel(first);
    let follow = async move {
        while trust.changed().await.is_ok() {
            match config(&certificate, &trust.borrow_and_update()) {
                Ok(config) => {
                    sender.send_replace(config);
                }
                Err(error) => tracing::error!(error = %error, "serving TLS as before"),
            }
        }
    };
    Ok((configs, follow))
}

fn config(
    certificate: &watch::Receiver<Arc<CertifiedKey>>,
    trust: &Trust,
) -> Result<Arc<ServerConfig>, HandshakeError> {
    let clients = trust.verifier()?;
    Ok(tls::server_config(certificate.clone(), clients)?)
}

//! What handshakes need, made anew whenever our certificate or the cluster's authorities change.

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

/// The configuration for the next handshake, and what keeps it up to date while it is polled.
///
/// # Errors
/// When there is nothing to start with; later failures are logged and leave it as it was.
pub fn configs(
    mut certificate: watch::Receiver<Arc<CertifiedKey>>,
    mut trust: watch::Receiver<Arc<Trust>>,
) -> Result<
    (
        watch::Receiver<Arc<ServerConfig>>,
        impl Future<Output = ()> + Send + 'static,
    ),
    HandshakeError,
> {
    let first = config(&certificate.borrow_and_update(), &trust.borrow_and_update())?;
    let (sender, configs) = watch::channel(first);
    let follow = async move {
        while changed(&mut certificate, &mut trust).await {
            match config(&certificate.borrow_and_update(), &trust.borrow_and_update()) {
                Ok(config) => {
                    sender.send_replace(config);
                }
                Err(error) => tracing::error!(error = %error, "serving TLS as before"),
            }
        }
    };
    Ok((configs, follow))
}

/// Waits for a change; false when none can come any more.
async fn changed(
    certificate: &mut watch::Receiver<Arc<CertifiedKey>>,
    trust: &mut watch::Receiver<Arc<Trust>>,
) -> bool {
    tokio::select! {
        changed = certificate.changed() => changed.is_ok(),
        changed = trust.changed() => changed.is_ok(),
    }
}

fn config(
    certificate: &Arc<CertifiedKey>,
    trust: &Trust,
) -> Result<Arc<ServerConfig>, HandshakeError> {
    let clients = trust.verifier()?;
    Ok(tls::server_config(Arc::clone(certificate), clients)?)
}

//! Serving over TLS with a certificate, and trusted client authorities, that change at run time.
//!
//! [`files`] follows a certificate and its key on disk, [`server_config`] turns them into what a
//! handshake needs, [`server`] accepts connections. Who a caller is, is decided elsewhere: this
//! only hands on the chain that the handshake has verified.

pub mod files;
mod room;
pub mod server;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

const HTTP_1_1: &[u8] = b"http/1.1";

/// The cryptography that every TLS endpoint of this program uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// What a handshake needs: our certificate, each time the one of that time, and, where callers may
/// show one, whom to believe. A new certificate ends no connection, so a renewal costs no request.
///
/// Sessions are not resumed: a resumed one would skip the check of the client's certificate.
///
/// # Errors
/// When the provider cannot serve TLS 1.2 and 1.3.
pub fn server_config(
    certificate: watch::Receiver<Arc<CertifiedKey>>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Current(certificate)));
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Shows the certificate of the moment.
#[derive(Debug)]
struct Current(watch::Receiver<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.borrow()))
    }
}

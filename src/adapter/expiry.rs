//! When the serving certificate expires, as a metric that somebody can be woken by.

use std::sync::Arc;

use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::metrics::AdapterMetrics;

/// Follows the certificate in use, for as long as it can change.
pub(super) async fn run(
    mut certificate: watch::Receiver<Arc<CertifiedKey>>,
    metrics: AdapterMetrics,
) {
    loop {
        if let Some(at) = expires(&certificate.borrow_and_update()) {
            metrics.certificate_expires(at);
        }
        if certificate.changed().await.is_err() {
            return;
        }
    }
}

/// In seconds since the epoch; nothing where the leaf cannot be read.
fn expires(certified: &CertifiedKey) -> Option<i64> {
    let leaf = certified.cert.first()?;
    let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
    Some(leaf.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::runtime::tls;

    #[test]
    fn the_leaf_says_when_it_expires() {
        let mut params = CertificateParams::new(["adapter.test".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2030, 1, 2);
        let key = KeyPair::generate().unwrap();
        let leaf = params.self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let chain = vec![leaf.der().clone()];
        let certified = CertifiedKey::from_der(chain, key, &tls::provider()).unwrap();
        assert_eq!(expires(&certified), Some(1_893_542_400));
    }
}

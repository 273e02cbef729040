//! Following the cluster's configuration for aggregated servers: its authorities rotate.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use prometheus::IntCounter;
use tokio::sync::watch::Sender;

use super::trust::Trust;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// Follows the `ConfigMap` until dropped. One that cannot be read changes nothing.
pub(in crate::adapter) async fn run(client: Client, trust: Sender<Arc<Trust>>, errors: IntCounter) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(map) | watcher::Event::InitApply(map)) => take(map, &trust),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
            Ok(watcher::Event::Delete(_)) => {
                tracing::error!(k8s.configmap = NAME, "deleted; still trusting what it said");
            }
            Err(error) => {
                errors.inc();
                tracing::warn!(error = %error, "the watch of {NAMESPACE}/{NAME} was interrupted");
            }
        }
    }
}

fn take(map: ConfigMap, trust: &Sender<Arc<Trust>>) {
    match Trust::from_config(&map.data.unwrap_or_default()) {
        Ok(new) => {
            if !new.knows_front_proxy() {
                tracing::error!(
                    "the API server has no front proxy (--requestheader-client-ca-file, \
                     --proxy-client-cert-file): HPAs cannot reach this adapter"
                );
            }
            trust.send_replace(Arc::new(new));
        }
        Err(error) => {
            tracing::error!(error = %error, "cannot read {NAMESPACE}/{NAME}; trusting as before");
        }
    }
}

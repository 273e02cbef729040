//! Whether metrics are answered: not before everything is known, and not for somebody else.

use std::time::Duration;

use kube::Client;
use tokio::sync::watch;

use super::groups::Served;
use super::metrics::AdapterMetrics;
use super::ownership::{ServiceName, foreign_owner};
use crate::runtime::admin::Readiness;

/// How often ownership is checked while all is well, and while it is not.
const CALM: Duration = Duration::from_secs(30);
const EAGER: Duration = Duration::from_secs(5);
/// One check; the client would repeat a failing request for minutes.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether this server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// The pods, the trusted authorities or the owner of our groups are not known yet.
    Starting,
    /// It answers.
    Open,
    /// It does not; the sentence says why.
    Closed(String),
}

/// Keeps a gate; ends never.
pub(super) struct GateKeeper {
    pub(super) client: Client,
    pub(super) us: ServiceName,
    pub(super) served: Served,
    pub(super) gate: watch::Sender<Gate>,
    pub(super) readiness: Readiness,
    pub(super) metrics: AdapterMetrics,
}

impl GateKeeper {
    /// Waits for `started`, then opens and closes the gate by who owns our groups.
    pub(super) async fn run(self, started: impl Future<Output = ()>) {
        started.await;
        loop {
            if let Some(state) = self.check().await {
                self.change(state);
            }
            let calm = *self.gate.borrow() == Gate::Open;
            tokio::time::sleep(if calm { CALM } else { EAGER }).await;
        }
    }

    /// What the gate should be; none when nobody can tell, and it stays as it is.
    async fn check(&self) -> Option<Gate> {
        match tokio::time::timeout(LIMIT, foreign_owner(&self.client, &self.us, &self.served)).await
        {
            Ok(Ok(None)) => Some(Gate::Open),
            Ok(Ok(Some(owner))) => Some(Gate::Closed(owner)),
            Ok(Err(error)) => {
                tracing::error!(
                    error = %error,
                    "cannot read our APIServices; the adapter needs get on apiservices by name"
                );
                None
            }
            Err(_) => {
                tracing::error!("cannot read our APIServices: the API server does not answer");
                None
            }
        }
    }

    fn change(&self, state: Gate) {
        let changed = self.gate.send_if_modified(|gate| {
            let changed = *gate != state;
            gate.clone_from(&state);
            changed
        });
        if !changed {
            return;
        }
        self.metrics.serving(state == Gate::Open);
        match state {
            Gate::Open => {
                self.readiness.ready();
                tracing::info!(groups = self.served.names(), "answering");
            }
            Gate::Closed(why) => {
                self.readiness.not_ready();
                tracing::error!(reason = why, "not answering");
            }
            Gate::Starting => self.readiness.not_ready(),
        }
    }
}

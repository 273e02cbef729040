//! Whether metrics are answered: not before everything is known, and no group of somebody else's.

use std::time::Duration;

use kube::Client;
use tokio::sync::watch;

use super::groups::{Group, Served};
use super::metrics::AdapterMetrics;
use super::ownership::{Foreign, ServiceName, foreign_groups};
use super::refusal::Refusal;
use crate::runtime::admin::Readiness;

/// How often ownership is checked while all is well, and while it is not.
const CALM: Duration = Duration::from_secs(30);
const EAGER: Duration = Duration::from_secs(5);
/// One check; the client would repeat a failing request for minutes.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether this server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// The pods, the trusted authorities or the owners of our groups are not known yet.
    Starting,
    /// It answers, but for these groups.
    Open(Foreign),
}

impl Gate {
    /// Whether a question about `group` is answered.
    pub(super) fn admits(&self, group: &Group) -> Result<(), Refusal> {
        match self.foreign()?.get(group.name) {
            None => Ok(()),
            Some(why) => Err(Refusal::Unavailable(why.clone())),
        }
    }

    /// Whether there is a question of those in `served` that is answered.
    pub(super) fn admits_any(&self, served: &Served) -> Result<(), Refusal> {
        self.foreign()?;
        let mut refused = Ok(());
        for group in served.groups() {
            refused = self.admits(group);
            if refused.is_ok() {
                break;
            }
        }
        refused
    }

    fn foreign(&self) -> Result<&Foreign, Refusal> {
        match self {
            Self::Starting => Err(Refusal::Unavailable("starting".to_owned())),
            Self::Open(foreign) => Ok(foreign),
        }
    }
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
    /// Waits for `started`, then opens the gate for the groups that are ours.
    pub(super) async fn run(self, started: impl Future<Output = ()>) {
        started.await;
        loop {
            if let Some(state) = self.check().await {
                self.change(&state);
            }
            let calm = *self.gate.borrow() == Gate::Open(Foreign::new());
            tokio::time::sleep(if calm { CALM } else { EAGER }).await;
        }
    }

    /// What the gate should be; none when nobody can tell, and it stays as it is.
    async fn check(&self) -> Option<Gate> {
        let owners = foreign_groups(&self.client, &self.us, &self.served);
        match tokio::time::timeout(LIMIT, owners).await {
            Ok(Ok(foreign)) => Some(Gate::Open(foreign)),
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

    fn change(&self, state: &Gate) {
        let changed = self.gate.send_if_modified(|gate| {
            let changed = gate != state;
            gate.clone_from(state);
            changed
        });
        if !changed {
            return;
        }
        // The Service has one readiness for all groups: one that is ours must not go with another.
        if state.admits_any(&self.served).is_ok() {
            self.readiness.ready();
        } else {
            self.readiness.not_ready();
        }
        let mut whole = true;
        for group in self.served.groups() {
            match state.admits(group) {
                Ok(()) => tracing::info!(group = group.name, "answering"),
                Err(why) => {
                    whole = false;
                    tracing::error!(group = group.name, reason = %why, "not answering");
                }
            }
        }
        self.metrics.serving(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::super::groups::{CUSTOM_METRICS, EXTERNAL_METRICS, MetricsApi};
    use super::*;

    #[test]
    fn a_group_of_somebody_elses_closes_that_group_alone() {
        let served = Served::new(&[MetricsApi::Custom, MetricsApi::External]);
        let foreign = |groups: &[&Group]| {
            let groups = groups.iter().map(|group| (group.name, "theirs".to_owned()));
            Gate::Open(groups.collect())
        };
        let (custom, external) = (&CUSTOM_METRICS, &EXTERNAL_METRICS);
        for (gate, expected) in [
            (Gate::Starting, [false, false, false]),
            (foreign(&[]), [true, true, true]),
            (foreign(&[custom]), [false, true, true]),
            (foreign(&[external]), [true, false, true]),
            (foreign(&[custom, external]), [false, false, false]),
        ] {
            let found = [
                gate.admits(custom).is_ok(),
                gate.admits(external).is_ok(),
                gate.admits_any(&served).is_ok(),
            ];
            assert_eq!(found, expected, "{gate:?}");
        }
    }
}

//! The loop: look at the Lease, do the step that follows, say who leads.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::decide::{Seen, Step, deadline, foreign, patience, pause, step};
use super::leadership::Held;
use super::metrics::LeaseMetrics;
use super::{Election, Leadership, REQUEST, RETRY, record};
use crate::runtime::clock::Clock;
use crate::runtime::pulse::Pulse;

/// How often a release is tried: a look and an update may cross with a last renewal of ours.
const RELEASES: usize = 3;

/// Why a leader is none any more. The process has to end: what it began may be another's now.
#[derive(Debug, thiserror::Error)]
pub enum Loss {
    /// Another one holds the Lease.
    #[error("lost the lease {lease} to {holder}: ending, so that only one operator writes")]
    Taken {
        /// The Lease.
        lease: String,
        /// Who holds it now.
        holder: String,
    },
    /// It could not be renewed in time.
    #[error(
        "lost the lease {lease}: it could not be renewed for {} s; ending, so that only one \
         operator writes", super::RENEW.as_secs()
    )]
    Late {
        /// The Lease.
        lease: String,
    },
}

/// What a look led to.
#[derive(Debug)]
enum Look {
    Ours,
    Theirs,
    Lost(String),
}

/// A process that would lead.
pub(in crate::operator) struct Candidate {
    api: Api<Lease>,
    election: Election,
    clock: Clock,
    metrics: LeaseMetrics,
    pulse: Pulse,
    held: watch::Sender<Held>,
    seen: Option<Seen>,
    /// Somebody else's, whose holder may still write.
    foreign: Option<Seen>,
}

impl Candidate {
    /// A candidate, and what others see of it. `client` is not fenced.
    pub(in crate::operator) fn new(
        client: Client,
        election: Election,
        clock: Clock,
        metrics: LeaseMetrics,
        pulse: Pulse,
    ) -> (Self, Leadership) {
        let (held, leadership) = watch::channel(Held::No);
        let candidate = Self {
            api: Api::namespaced(client, &election.namespace),
            election,
            clock,
            metrics,
            pulse,
            held,
            seen: None,
            foreign: None,
        };
        (candidate, Leadership::new(leadership))
    }

    /// Tries to lead, then leads; ends when the lease is lost.
    pub(in crate::operator) async fn run(&mut self) -> Loss {
        loop {
            self.pulse.beat();
            let asked = Instant::now();
            let limit = patience(REQUEST, self.deadline(), asked);
            match timeout(limit, self.look()).await {
                Ok(Ok(Look::Ours)) => self.lead_until(deadline(asked)),
                Ok(Ok(Look::Theirs)) => {}
                Ok(Ok(Look::Lost(holder))) => return self.lost(Some(holder)),
                Ok(Err(error)) => self.failed(&error.to_string()),
                Err(_) => self.failed("the API server does not answer"),
            }
            // With a deadline of now or before no look is left to take.
            let now = Instant::now();
            let theirs = self.foreign.as_ref();
            let pause = pause(RETRY, theirs, self.deadline(), now);
            if pause.is_zero() {
                return self.lost(None);
            }
            sleep(pause).await;
        }
    }

    /// Gives the Lease back, where it is ours, so that another need not wait for it to expire.
    /// Nothing may be written any more when this is called.
    pub(in crate::operator) async fn release(&self) {
        self.stop_leading();
        let released = async {
            for _ in 0..RELEASES {
                match self.try_release().await {
                    Err(error) if is_conflict(&error) => {}
                    done => return done,
                }
            }
            Ok(())
        };
        match timeout(REQUEST, released).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("the API server does not answer"),
        }
    }

    async fn look(&mut self) -> Result<Look, kube::Error> {
        let lease = self.api.get_opt(&self.election.lease).await?;
        // Its age counts from the answer: it may have been renewed while we asked.
        let now = Instant::now();
        let before = self.seen.take();
        self.seen = lease
            .as_ref()
            .map(|lease| Seen::again(before.as_ref(), record::read(lease), now));
        self.note_transition(before.as_ref());
        let me = self.election.identity.clone();
        self.foreign = foreign(self.foreign.take(), self.seen.as_ref(), &me);
        let leading = self.deadline().is_some();
        let step = step(self.seen.as_ref(), self.foreign.as_ref(), &me, leading, now);
        let time = self.clock.now();
        let written = match (step, lease) {
            (Step::Wait(_), _) => return Ok(Look::Theirs),
            (Step::Lost(holder), _) => return Ok(Look::Lost(holder)),
            (Step::Renew, Some(lease)) => self.replace(&record::renewed(lease, time)).await,
            (Step::Take, Some(lease)) => self.replace(&record::taken(lease, &me, time)).await,
            (Step::Create | Step::Renew | Step::Take, _) => {
                let lease = record::created(&self.election, time);
                self.api.create(&PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.seen = Some(Seen::again(None, record::read(&lease), now));
                self.foreign = None;
                self.note_transition(None);
                Ok(Look::Ours)
            }
            // Somebody else was faster; the next look says who.
            Err(error) if is_conflict(&error) => Ok(Look::Theirs),
            Err(error) => Err(error),
        }
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let name = &self.election.lease;
        self.api.replace(name, &PostParams::default(), lease).await
    }

    async fn try_release(&self) -> Result<(), kube::Error> {
        let Some(lease) = self.api.get_opt(&self.election.lease).await? else {
            return Ok(());
        };
        if record::read(&lease).holder.as_deref() != Some(self.election.identity.as_str()) {
            return Ok(());
        }
        self.replace(&record::released(lease, self.clock.now()))
            .await?;
        tracing::info!(k8s.lease = self.election.lease, "released the lease");
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        match *self.held.borrow() {
            Held::Until(deadline) => Some(deadline),
            Held::No | Held::Always => None,
        }
    }

    fn lead_until(&self, deadline: Instant) {
        let before = self.held.send_replace(Held::Until(deadline));
        if before == Held::No {
            self.metrics.leader.set(1);
            tracing::info!(
                k8s.lease = self.election.lease,
                identity = self.election.identity,
                "leading"
            );
        }
    }

    fn stop_leading(&self) {
        self.held.send_replace(Held::No);
        self.metrics.leader.set(0);
    }

    fn lost(&self, holder: Option<String>) -> Loss {
        self.stop_leading();
        let lease = format!("{}/{}", self.election.namespace, self.election.lease);
        match holder {
            Some(holder) => Loss::Taken { lease, holder },
            None => Loss::Late { lease },
        }
    }

    /// A new holder is told once, and counted as the Lease counts.
    fn note_transition(&self, before: Option<&Seen>) {
        let Some(seen) = &self.seen else { return };
        self.metrics.transitions.set(seen.record.transitions.into());
        let holder = seen.record.holder.as_deref();
        let known = before.and_then(|before| before.record.holder.as_deref());
        let us = holder == Some(self.election.identity.as_str());
        if !us && holder.is_some() && holder != known {
            tracing::info!(
                k8s.lease = self.election.lease,
                holder,
                "another operator leads; standing by"
            );
        }
    }

    fn failed(&self, error: &str) {
        self.metrics.errors.inc();
        tracing::warn!(
            k8s.lease = self.election.lease,
            error,
            "failed to look at the lease or to update it"
        );
    }
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Registry;

    use super::super::test_support::Server;
    use super::super::{RENEW, STUCK};
    use super::*;

    fn candidate(client: Client, name: &str) -> (Candidate, Leadership) {
        let election = Election {
            namespace: "cio".to_owned(),
            lease: "cio-operator".to_owned(),
            identity: name.to_owned(),
        };
        Candidate::new(
            client,
            election,
            Clock::system(),
            LeaseMetrics::new(&Registry::new()).unwrap(),
            Pulse::new(STUCK),
        )
    }

    /// A process that runs until it is killed.
    fn start(server: &Server, name: &str) -> (tokio::task::JoinHandle<Loss>, Leadership) {
        let (mut candidate, leadership) = candidate(server.client(), name);
        (
            tokio::spawn(async move { candidate.run().await }),
            leadership,
        )
    }

    async fn until(leadership: &Leadership) -> Duration {
        let asked = Instant::now();
        while !leadership.holds() {
            sleep(Duration::from_millis(50)).await;
        }
        asked.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_one_leads_and_the_other_stands_by() {
        let server = Server::default();
        let (_first, first) = start(&server, "a");
        until(&first).await;
        let (_second, second) = start(&server, "b");
        for _ in 0..120 {
            sleep(Duration::from_secs(1)).await;
            assert!(first.holds() && !second.holds());
        }
        let record = server.record().unwrap();
        assert_eq!(record.holder.as_deref(), Some("a"));
        assert_eq!(record.transitions, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_killed_leader_is_followed_within_lease_and_retry_and_not_before() {
        let server = Server::default();
        let (first, leads) = start(&server, "a");
        until(&leads).await;
        let (_second, second) = start(&server, "b");
        sleep(Duration::from_secs(7)).await;
        first.abort();
        let took = until(&second).await;
        // Its last renewal is up to a pause old, and so is our look at it.
        assert!(took >= RENEW, "{took:?}");
        assert!(took <= Duration::from_millis(17_100), "{took:?}");
        assert!(!leads.holds(), "the first one's time was up before");
        assert_eq!(server.record().unwrap().transitions, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_released_lease_is_taken_at_the_next_look() {
        let server = Server::default();
        let (mut first, leads) = candidate(server.client(), "a");
        tokio::select! {
            _ = first.run() => unreachable!("nobody takes it"),
            _ = until(&leads) => {}
        }
        let (_second, second) = start(&server, "b");
        sleep(Duration::from_secs(3)).await;
        first.release().await;
        assert!(!leads.holds());
        assert_eq!(server.holder(), None);
        let took = until(&second).await;
        assert!(took <= RETRY + Duration::from_millis(100), "{took:?}");
        assert_eq!(server.record().unwrap().transitions, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_hears_nothing_stops_before_another_may_start() {
        let server = Server::default();
        let (client, cut) = server.link();
        let (mut first, leads) = candidate(client, "a");
        let first = tokio::spawn(async move { first.run().await });
        until(&leads).await;
        let (_second, second) = start(&server, "b");
        sleep(Duration::from_secs(5)).await;
        *cut.lock().unwrap() = true;
        let loss = first.await.unwrap();
        assert!(matches!(loss, Loss::Late { .. }), "{loss}");
        assert!(!leads.holds() && !second.holds());
        // 5 s lie between the end of the one and the beginning of the other.
        let took = until(&second).await;
        assert!(took >= Duration::from_secs(3), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_whose_lease_is_anothers_ends() {
        let server = Server::default();
        let (first, leads) = start(&server, "a");
        until(&leads).await;
        let now = Clock::system().now();
        server.write(|lease| record::taken(lease, "b", now));
        let loss = first.await.unwrap();
        assert!(
            matches!(&loss, Loss::Taken { holder, .. } if holder == "b"),
            "{loss}"
        );
        assert!(!leads.holds());
    }

    /// The leader makes or takes it again at its next look, and nobody else does before.
    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_deleted_or_cleared_stays_its_holders() {
        type Change = fn(&Server);
        let cases: [(&str, Change); 2] = [
            ("deleted", Server::delete),
            ("cleared", |server| {
                server.write(|mut lease| {
                    lease.spec.as_mut().unwrap().holder_identity = None;
                    lease
                });
            }),
        ];
        for (what, change) in cases {
            let server = Server::default();
            let (_first, first) = start(&server, "a");
            until(&first).await;
            sleep(Duration::from_secs(1)).await;
            // It looks 1 s after the leader's last look, and so before the leader's next one.
            let (_second, second) = start(&server, "b");
            sleep(Duration::from_millis(1500)).await;
            change(&server);
            for _ in 0..60 {
                sleep(Duration::from_millis(500)).await;
                assert!(!second.holds(), "{what}");
            }
            assert!(first.holds(), "{what}");
            assert_eq!(server.holder().as_deref(), Some("a"), "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_holders_lease_that_is_deleted_is_made_anew_when_it_would_have_expired() {
        let server = Server::default();
        let (first, leads) = start(&server, "a");
        until(&leads).await;
        let (_second, second) = start(&server, "b");
        sleep(Duration::from_secs(7)).await;
        first.abort();
        server.delete();
        let took = until(&second).await;
        assert!(took >= RENEW && !leads.holds(), "{took:?}");
        assert!(took <= Duration::from_millis(17_100), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_that_take_it_at_once_one_succeeds() {
        let server = Server::default();
        let all: Vec<_> = ["a", "b", "c", "d", "e"]
            .map(|name| start(&server, name))
            .into();
        sleep(Duration::from_secs(1)).await;
        let leading = all.iter().filter(|(_, leads)| leads.holds()).count();
        assert_eq!(leading, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_leaves_anothers_lease_alone() {
        let server = Server::default();
        let (_first, leads) = start(&server, "a");
        until(&leads).await;
        let (other, _) = candidate(server.client(), "b");
        other.release().await;
        assert_eq!(server.holder().as_deref(), Some("a"));
    }
}

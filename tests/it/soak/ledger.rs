//! What was enqueued, and whether all of it is where it belongs.

use std::collections::{BTreeMap, BTreeSet};

use bullmq::Queue;
use serde_json::Value;

use super::failed;
use crate::support::simulator::{SimulatorProcess, TakenEvents};

/// Everything that was enqueued.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Names of events; each is one job's alone.
    pub(super) events: BTreeSet<String>,
    /// The `step` of each person's last identify, and how many identifies there were.
    pub(super) people: BTreeMap<String, u64>,
    pub(super) identifies: u64,
    /// Ids of jobs that can never be delivered.
    pub(super) bad: BTreeSet<String>,
    /// How often an add had to be made again.
    pub(super) repeats: u64,
}

impl Ledger {
    pub(super) fn summary(&self, taken: &TakenEvents) -> String {
        format!(
            "{} events ({} taken), {} identifies of {} people, {} bad jobs, {} adds repeated",
            self.events.len(),
            taken.all.len(),
            self.identifies,
            self.people.len(),
            self.bad.len(),
            self.repeats
        )
    }

    /// Panics with what is not where it belongs.
    pub(super) async fn judge(
        &self,
        queue: &Queue,
        simulator: &SimulatorProcess,
        taken: &TakenEvents,
    ) {
        // First, for it has the reasons: a good job that failed is an event that is missing, too.
        self.judge_failed(queue).await;
        self.judge_events(taken);
        self.judge_people(simulator).await;
    }

    async fn judge_failed(&self, queue: &Queue) {
        let failed = failed(queue).await;
        let (lost, wrong) = (self.bad.difference(&failed), failed.difference(&self.bad));
        let (lost, wrong): (Vec<_>, Vec<_>) = (lost.collect(), wrong.collect());
        let mut reasons = Vec::new();
        for id in &wrong {
            let job = queue.get_job(id).await.expect("Redis").expect("the job");
            reasons.push((id, job.failed_reason().to_owned(), job.attempts_made()));
        }
        assert!(
            lost.is_empty(),
            "bad jobs are not in the failed set: {lost:?}"
        );
        assert!(
            wrong.is_empty(),
            "good jobs are in the failed set: {reasons:?}"
        );
    }

    fn judge_events(&self, taken: &TakenEvents) {
        let names = taken.by_name();
        let lost = self
            .events
            .iter()
            .filter(|name| !names.contains_key(name.as_str()));
        let lost: Vec<_> = lost.collect();
        let twice = names.iter().filter(|(_, times)| **times > 1);
        let twice: Vec<_> = twice.collect();
        let unknown = names.keys().filter(|name| !self.events.contains(**name));
        let unknown: Vec<_> = unknown.collect();
        assert!(lost.is_empty(), "{} events are lost: {lost:?}", lost.len());
        assert!(
            twice.is_empty(),
            "{} events came twice: {twice:?}",
            twice.len()
        );
        assert!(unknown.is_empty(), "nobody enqueued {unknown:?}");
        let ids: BTreeSet<_> = taken.all.iter().map(|event| &event.id).collect();
        assert_eq!(ids.len(), self.events.len());
        assert!(
            taken
                .all
                .iter()
                .all(|event| self.people.contains_key(&event.person))
        );
    }

    async fn judge_people(&self, simulator: &SimulatorProcess) {
        let mut wrong = Vec::new();
        for (person, step) in &self.people {
            let attributes = simulator.page(&format!("people/{person}")).await;
            let found = attributes.map_or(Value::Null, |it| it["step"].clone());
            if found != *step {
                wrong.push((person, *step, found));
            }
        }
        assert!(wrong.is_empty(), "(person, last, found): {wrong:?}");
    }
}

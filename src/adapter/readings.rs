//! Depths by pipeline, kept for two seconds: one small request per pipeline and interval,
//! whatever the number of pods and of askers.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::cache::Cache;
use super::metrics::AdapterMetrics;
use super::pod_client::PodClient;
use super::reading::{Reading, Unknown};
use crate::runtime::clock::Clock;

/// How long an answer is used again.
const KEEP: Duration = Duration::from_secs(2);
/// The whole of a reading, with the wait for its turn: the HPA must be answered within 2 s.
const LIMIT: Duration = Duration::from_millis(1300);
/// Pipelines with an answer in memory.
const PIPELINES: usize = 8192;
/// Sidecars asked at the same time.
const AT_ONCE: usize = 64;

/// A pipeline: its namespace and its name.
pub(super) type PipelineKey = (String, String);

/// Where depths come from.
#[derive(Debug)]
pub(super) struct Readings {
    client: PodClient,
    clock: Clock,
    metrics: AdapterMetrics,
    cache: Cache<PipelineKey, Result<Reading, Unknown>>,
    turns: Semaphore,
}

impl Readings {
    pub(super) fn new(client: PodClient, clock: Clock, metrics: AdapterMetrics) -> Self {
        Self {
            client,
            clock,
            metrics,
            cache: Cache::new(PIPELINES),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// The depth of a pipeline's queue, at most two seconds after a sidecar told it.
    ///
    /// # Errors
    /// Why it is not known.
    pub(super) async fn get(
        &self,
        pipeline: PipelineKey,
        sidecars: &[SocketAddr],
    ) -> Result<Reading, Unknown> {
        let fetch = Box::pin(self.fetch(&pipeline, sidecars));
        let answer = self
            .cache
            .get(pipeline.clone(), async { (fetch.await, KEEP) });
        // Also those who wait for another's fetch wait no longer than this.
        let outcome = tokio::time::timeout(LIMIT, answer)
            .await
            .unwrap_or_else(|_| Err(out_of_time()));
        self.metrics.answered(&outcome, self.clock.now());
        outcome
    }

    async fn fetch(
        &self,
        (namespace, pipeline): &PipelineKey,
        sidecars: &[SocketAddr],
    ) -> Result<Reading, Unknown> {
        let asked = async {
            let _turn = self.turns.acquire().await;
            let now = self.clock.now();
            self.client.read_depth(pipeline, sidecars, now).await
        };
        let outcome = tokio::time::timeout(LIMIT, asked)
            .await
            .unwrap_or_else(|_| Err(out_of_time()));
        self.metrics.reading(&outcome, self.clock.now());
        if let Err(unknown) = &outcome {
            tracing::warn!(
                k8s.namespace = namespace,
                pipeline.name = pipeline,
                reason = unknown.reason(),
                cause = unknown.cause(),
                "the depth of the queue is not known"
            );
        }
        outcome
    }
}

fn out_of_time() -> Unknown {
    Unknown::SidecarUnreachable(format!("no answer within {LIMIT:?}"))
}

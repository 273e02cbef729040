//! The guide's health line: four counts of the queue.

use std::time::Duration;

use tokio::time::{Instant, interval_at};

use super::settings::WorkerSettings;
use crate::queue::counts::CountsReader;

const EVERY: Duration = Duration::from_secs(30);

/// Writes it every 30 seconds, for ever; none while Redis does not answer.
pub(super) async fn write(counts: &CountsReader, settings: &WorkerSettings) {
    if !settings.health_log {
        return std::future::pending().await;
    }
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    loop {
        ticks.tick().await;
        // Whoever fetches jobs has said already that Redis does not answer.
        if let Ok(counts) = counts.read().await {
            counts.log_health(&settings.queue);
        }
    }
}

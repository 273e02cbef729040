//! Telling that a worker has stopped sending, and that it sends again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::Script;
use tokio::sync::watch;

use super::script::limit_key;
use crate::delivery::circuit::Circumstance;
use crate::delivery::client::Region;
use crate::delivery::credentials::Credentials;
use crate::runtime::run_script::RunScript;

/// What was said holds for so long beyond the wait before the next probe: as long as a probe may
/// take. A worker that dies meanwhile is believed no longer.
const BEYOND: Duration = Duration::from_secs(30);

/// What the others need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    StoppedFor(Duration),
    Sending,
}

/// Pure: what is worth telling. That nothing has gone wrong yet is not, nor that a probe is made.
fn news(now: Circumstance, told_open: bool) -> Option<News> {
    match now {
        Circumstance::Down(wait) => Some(News::StoppedFor(wait + BEYOND)),
        Circumstance::Deliverable if told_open => Some(News::Sending),
        Circumstance::Deliverable | Circumstance::Probing => None,
    }
}

/// Tells whoever follows the limit of a workspace.
pub struct Announcer {
    /// Where the limit is kept.
    pub store: Arc<dyn RunScript>,
    /// With the site id, which workspace.
    pub region: Region,
    /// They hold the site id.
    pub credentials: watch::Receiver<Arc<Credentials>>,
    /// Whose circuit it is. Workers that deliver the same in the same way name the same; others of the
    /// workspace share the limit alone.
    pub whose: String,
}

impl Announcer {
    /// Tells whenever `circumstance` changes, until its sender is gone. Whether others hear it
    /// decides about nothing but how many pods there are: a failure is logged, no more.
    pub async fn run(self, mut circumstance: watch::Receiver<Circumstance>) {
        let script = Script::new(include_str!("circuit.lua"));
        let mut told_open = false;
        while circumstance.changed().await.is_ok() {
            let now = *circumstance.borrow_and_update();
            let Some(news) = news(now, told_open) else {
                continue;
            };
            told_open = news != News::Sending;
            if let Err(error) = self.tell(&script, news).await {
                tracing::warn!(error, "the other workers could not be told of the circuit");
            }
        }
    }

    async fn tell(&self, script: &Script, news: News) -> Result<(), String> {
        let lasts = match news {
            News::StoppedFor(lasts) => u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX),
            News::Sending => 0,
        };
        let key = limit_key(self.region, self.credentials.borrow().site_id());
        let mut invocation = script.prepare_invoke();
        invocation.key(key).arg(lasts).arg(&self.whose);
        self.store.run_script(&invocation).await.map(drop)
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcer")
            .field("region", &self.region)
            .field("whose", &self.whose)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_change_that_others_need_is_told() {
        let wait = Duration::from_secs(10);
        for (now, told_open, expected) in [
            (Circumstance::Deliverable, false, None),
            (Circumstance::Probing, true, None),
            (
                Circumstance::Down(wait),
                false,
                Some(News::StoppedFor(wait + BEYOND)),
            ),
            (
                Circumstance::Down(wait),
                true,
                Some(News::StoppedFor(wait + BEYOND)),
            ),
            (Circumstance::Deliverable, true, Some(News::Sending)),
        ] {
            assert_eq!(news(now, told_open), expected, "{now:?} {told_open}");
        }
    }
}

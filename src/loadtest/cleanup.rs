//! Removing a run's users: deleted at the limit, again until accepted. Deleted, not suppressed: that
//! would block the ids for good.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::delivery::client::TrackClient;
use crate::delivery::encode::Call;

/// Deletes in flight.
const AT_ONCE: usize = 15;
/// Sends of one delete, before it counts as failed.
const SENDS: u32 = 5;
/// So many failed deletes in a row, each with all its sends: the server is gone, and the others would
/// fail as slowly.
const HOPELESS: usize = 2 * AT_ONCE;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What came of the deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deletes {
    /// Deletes that were not accepted, with those that were not tried any more.
    pub failed: usize,
    /// Whether it ended early, after many failures in a row.
    pub gave_up: bool,
}

/// Counts deletes, and when to give up.
#[derive(Debug, Default)]
struct Tally {
    through: usize,
    deleted: usize,
    failed_in_a_row: usize,
}

impl Tally {
    fn count(&mut self, deleted: bool) {
        self.through += 1;
        self.deleted += usize::from(deleted);
        self.failed_in_a_row = if deleted { 0 } else { self.failed_in_a_row + 1 };
    }

    fn is_hopeless(&self) -> bool {
        self.failed_in_a_row >= HOPELESS
    }
}

/// Deletes `users`, `all` of them, at `per_second`, unless none of many is accepted. `said` hears how many are through.
///
/// # Errors
/// When the journal cannot be read on.
pub async fn delete<E>(
    client: &TrackClient,
    users: impl Iterator<Item = Result<String, E>>,
    all: usize,
    per_second: f64,
    mut said: impl FnMut(usize),
) -> Result<Deletes, E> {
    let mut pace = interval(Duration::from_secs_f64(1.0 / per_second));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (free, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    let mut tally = Tally::default();
    for user in users {
        let user = user?;
        pace.tick().await;
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            break;
        };
        while let Some(done) = tasks.try_join_next() {
            tally.count(done.unwrap_or(false));
        }
        if tally.is_hopeless() {
            break;
        }
        let client = client.clone();
        tasks.spawn(async move {
            let deleted = delete_one(&client, &user).await;
            drop(permit);
            deleted
        });
        said(tally.through);
    }
    while let Some(done) = tasks.join_next().await {
        tally.count(done.unwrap_or(false));
    }
    said(tally.through);
    Ok(Deletes {
        failed: all.saturating_sub(tally.deleted),
        gave_up: tally.through < all,
    })
}

/// Whether the user was deleted.
async fn delete_one(client: &TrackClient, user: &str) -> bool {
    let call = call(Method::DELETE, format!("/api/v1/customers/{user}"));
    for send in 0..SENDS {
        if send > 0 {
            sleep(FIRST_PAUSE * 2_u32.pow(send - 1)).await;
        }
        let answer = client.send(&call).await;
        if answer.is_ok_and(|it| it.status.is_success()) {
            return true;
        }
    }
    false
}

/// How many of `users` a simulator still has; nothing where no simulator answers.
///
/// # Errors
/// When the journal cannot be read on.
pub async fn left_in_simulator<E>(
    client: &TrackClient,
    users: impl Iterator<Item = Result<String, E>>,
) -> Result<Option<usize>, E> {
    let get = async |path: String| {
        let answer = client.send(&call(Method::GET, path)).await.ok()?;
        Some(answer.status.as_u16())
    };
    if get("/_sim/state".to_owned()).await != Some(200) {
        return Ok(None);
    }
    let mut left = 0;
    for user in users {
        match get(format!("/_sim/people/{}", user?)).await {
            Some(status) => left += usize::from(status != 404),
            None => return Ok(None),
        }
    }
    Ok(Some(left))
}

fn call(method: Method, path: String) -> Call {
    Call {
        method,
        path,
        body: Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::credentials::Credentials;

    #[test]
    fn one_success_is_reason_to_go_on() {
        let mut tally = Tally::default();
        for _ in 1..HOPELESS {
            tally.count(false);
        }
        assert!(!tally.is_hopeless());
        tally.count(true);
        tally.count(false);
        assert!(!tally.is_hopeless());
        for _ in 1..HOPELESS {
            tally.count(false);
        }
        assert!(tally.is_hopeless());
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_deletes_a_server_that_is_gone_sees_few() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", nobody.local_addr().unwrap());
        drop(nobody);
        let credentials = Credentials::new(Some("s"), Some("k")).unwrap();
        let client = TrackClient::fixed(&url.parse().unwrap(), credentials, 1).unwrap();
        let (created, mut taken) = (10 * HOPELESS, 0);
        let users = (0..created).map(|it| it.to_string());
        let users = users.inspect(|_| taken += 1).map(Ok::<_, ()>);
        let mut through = 0;
        let done = delete(&client, users, created, 1_000.0, |now| through = now).await;
        let all = Deletes {
            failed: created,
            gave_up: true,
        };
        assert_eq!(done, Ok(all));
        // No user is held before it is deleted.
        assert!(taken <= through + 1, "{taken} {through}");
        assert!(
            (HOPELESS..=HOPELESS + 2 * AT_ONCE).contains(&through),
            "{through}"
        );
    }
}

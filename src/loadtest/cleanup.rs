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
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Deletes `users` at `per_second`; those that could not be. `said` hears how many are through.
pub async fn delete(
    client: &TrackClient,
    users: Vec<String>,
    per_second: f64,
    mut said: impl FnMut(usize),
) -> Vec<String> {
    let mut pace = interval(Duration::from_secs_f64(1.0 / per_second));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (free, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    let (mut failed, mut through) = (Vec::new(), 0);
    for user in users {
        pace.tick().await;
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else {
            failed.push(user);
            continue;
        };
        let client = client.clone();
        tasks.spawn(async move {
            let left = delete_one(&client, user).await;
            drop(permit);
            left
        });
        while let Some(done) = tasks.try_join_next() {
            through += 1;
            failed.extend(done.ok().flatten());
        }
        said(through);
    }
    while let Some(done) = tasks.join_next().await {
        through += 1;
        failed.extend(done.ok().flatten());
    }
    said(through);
    failed
}

/// The user, if it could not be deleted.
async fn delete_one(client: &TrackClient, user: String) -> Option<String> {
    let call = call(Method::DELETE, format!("/api/v1/customers/{user}"));
    for send in 0..SENDS {
        if send > 0 {
            sleep(FIRST_PAUSE * 2_u32.pow(send - 1)).await;
        }
        let answer = client.send(&call).await;
        if answer.is_ok_and(|it| it.status.is_success()) {
            return None;
        }
    }
    Some(user)
}

/// How many of `users` a simulator still has; nothing where no simulator answers.
pub async fn left_in_simulator(client: &TrackClient, users: &[String]) -> Option<usize> {
    let get = async |path: String| {
        let answer = client.send(&call(Method::GET, path)).await.ok()?;
        Some(answer.status.as_u16())
    };
    if get("/_sim/state".to_owned()).await? != 200 {
        return None;
    }
    let mut left = 0;
    for user in users {
        left += usize::from(get(format!("/_sim/people/{user}")).await? != 404);
    }
    Some(left)
}

fn call(method: Method, path: String) -> Call {
    Call {
        method,
        path,
        body: Bytes::new(),
    }
}

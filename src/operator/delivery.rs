//! Asking a pipeline's workers whether Customer.io takes what they send.
//!
//! Each worker has a circuit of its own, and one without jobs neither opens nor closes it. So every
//! worker is asked, and the newest word counts; where most cannot deliver, not one answer in between.

use std::net::SocketAddr;

use futures::future::join_all;

use crate::adapter::page::value;
use crate::adapter::pod_client::PodClient;

/// Workers asked, all at once. Beyond them a further one has little to add.
const MOST_ASKED: usize = 20;
/// 1 for the reason that a worker takes no jobs, 0 for every other.
const OPEN: &str = "cio_delivery_circuit_open";
/// Since when, in seconds since the epoch.
const OPENED_AT: &str = "cio_delivery_circuit_opened_timestamp_seconds";
/// When it last failed to deliver, likewise: older workers do not say.
const FAILED_AT: &str = "cio_delivery_circuit_failed_timestamp_seconds";
/// When Customer.io last answered the worker as it should, likewise; 0 before it has.
const ANSWERED_AT: &str = "cio_delivery_answered_timestamp_seconds";

/// Two probes of a worker are no further apart, in seconds.
const PROBES: f64 = 60.0;

/// What the workers of a pipeline say of Customer.io.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Whoever was asked takes jobs, or has no reason not to.
    Unhindered,
    /// It refuses credentials or region.
    Refused(Refused),
    /// It does not answer, or not as it should.
    Unavailable,
    /// What answers is not its Track API.
    Unexpected,
    /// No worker can be asked: none runs, or the image is another's.
    NotAsked,
    /// None of the workers answered.
    NoAnswer,
}

/// What Customer.io refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Site id and key.
    Credentials,
    /// The region: it redirects to another.
    Region,
}

/// What one worker says.
#[derive(Debug, Clone, PartialEq)]
struct Word {
    /// Why it takes no jobs, and when that last showed.
    open: Option<(String, f64)>,
    answered_at: f64,
}

/// Asks up to 20 of `workers`, each for at most the client's time limit and all at once. One that
/// does not answer has no say.
pub(super) async fn read_delivery(client: &PodClient, workers: &[SocketAddr]) -> Delivery {
    if workers.is_empty() {
        return Delivery::NotAsked;
    }
    let asked = workers.iter().take(MOST_ASKED);
    let pages = join_all(asked.map(|worker| client.page(*worker))).await;
    let words: Vec<_> = pages
        .iter()
        .filter_map(|page| interpret(page.as_deref().ok()?))
        .collect();
    judge(&words)
}

/// What a worker's metrics say; none when they are not a worker's.
fn interpret(text: &str) -> Option<Word> {
    let sample = |name| text.lines().find_map(|line| value(line, name));
    let opened_at = sample(OPENED_AT)?;
    let failed_at = sample(FAILED_AT).unwrap_or(opened_at);
    let class = text
        .lines()
        .find(|line| value(line, OPEN) == Some(1.0))
        .and_then(|line| line.split('"').nth(1));
    Some(Word {
        open: class.map(|class| (class.to_owned(), failed_at)),
        answered_at: sample(ANSWERED_AT)?,
    })
}

/// The newest word counts: what made one worker stop is over when another was answered since. Of most
/// of them it is not: their probes, up to 30 s apart, tell of now as well as that answer.
fn judge(words: &[Word]) -> Delivery {
    let open = words.iter().filter_map(|word| word.open.as_ref());
    let newest = open.max_by(|a, b| a.1.total_cmp(&b.1));
    let answered_at = words.iter().map(|word| word.answered_at);
    let answered_at = answered_at.fold(0.0, f64::max);
    let most = 2 * words.iter().filter(|word| word.open.is_some()).count() > words.len();
    let grace = if most { PROBES } else { 0.0 };
    match newest {
        None if words.is_empty() => Delivery::NoAnswer,
        Some((class, failed_at)) if failed_at + grace >= answered_at => match class.as_str() {
            "unauthorized" => Delivery::Refused(Refused::Credentials),
            "redirected" => Delivery::Refused(Refused::Region),
            "unexpected" => Delivery::Unexpected,
            _ => Delivery::Unavailable,
        },
        _ => Delivery::Unhindered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(class: &str, failed_at: f64, answered_at: f64) -> String {
        let line = |known: &str| {
            let open = u8::from(known == class);
            format!("cio_delivery_circuit_open{{class=\"{known}\"}} {open}\n")
        };
        let lines: String = ["redirected", "unauthorized", "unavailable", "unexpected"]
            .map(line)
            .concat();
        // It opened long before.
        let opened_at = failed_at / 2.0;
        format!(
            "# TYPE x gauge\n{ANSWERED_AT} {answered_at}\n{lines}{OPENED_AT} {opened_at}\n\
             {FAILED_AT} {failed_at}\n"
        )
    }

    fn judged(pages: &[(&str, f64, f64)]) -> Delivery {
        let words = pages
            .iter()
            .map(|(class, failed, answered)| interpret(&page_of(class, *failed, *answered)));
        judge(&words.collect::<Option<Vec<_>>>().unwrap())
    }

    #[test]
    fn the_newest_word_counts() {
        let refused = Delivery::Refused(Refused::Credentials);
        for (words, expected) in [
            (vec![], Delivery::NoAnswer),
            (vec![("", 0.0, 0.0)], Delivery::Unhindered),
            (vec![("unauthorized", 9.0, 0.0)], refused.clone()),
            (vec![("unauthorized", 9.0, 8.5)], refused.clone()),
            (
                vec![("redirected", 9.0, 8.5)],
                Delivery::Refused(Refused::Region),
            ),
            (vec![("unavailable", 9.0, 0.0)], Delivery::Unavailable),
            (vec![("unexpected", 9.0, 0.0)], Delivery::Unexpected),
            // One that has had no job since before has nothing to say against it.
            (
                vec![("", 0.0, 7.0), ("unauthorized", 9.0, 8.0)],
                refused.clone(),
            ),
            // Put right, and one without jobs has not noticed.
            (
                vec![("", 0.0, 12.0), ("unauthorized", 9.0, 8.0)],
                Delivery::Unhindered,
            ),
            // Most cannot deliver, and one was answered in between: it is not over.
            (
                vec![
                    ("unavailable", 100.0, 8.0),
                    ("unavailable", 105.0, 8.0),
                    ("", 0.0, 110.0),
                ],
                Delivery::Unavailable,
            ),
            // They have had no job since.
            (
                vec![
                    ("unavailable", 100.0, 8.0),
                    ("unavailable", 105.0, 8.0),
                    ("", 0.0, 170.0),
                ],
                Delivery::Unhindered,
            ),
            // Down, after an answer to one that stopped later.
            (
                vec![("unavailable", 9.0, 8.0), ("unauthorized", 9.5, 9.3)],
                refused,
            ),
        ] {
            assert_eq!(judged(&words), expected, "{words:?}");
        }
    }

    #[test]
    fn what_is_no_workers_page_has_no_say() {
        assert_eq!(interpret("cio_queue_depth 7\n"), None);
        assert_eq!(interpret("<html>hello</html>"), None);
    }

    #[tokio::test]
    async fn without_a_worker_of_our_own_nobody_is_asked() {
        let client = PodClient::new().unwrap();
        assert_eq!(read_delivery(&client, &[]).await, Delivery::NotAsked);
    }
}

//! Reading a workspace's limit from outside: how much of it is used, and whether anything is sent.

use redis::Script;

use super::local::USED;
use crate::runtime::run_script::RunScript;

/// After so long without a question nobody is there whose setting counts, in µs.
const SILENCE: u64 = 20_000_000;

/// A limit at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitReading {
    /// When, in µs by Redis' clock.
    pub at_us: u64,
    /// The rate in force, in requests/s: the lowest that is set, after what answers 429 left of it.
    /// None while nobody sends.
    pub requests_per_second: Option<f64>,
    /// Requests that were ever allowed. Starts over with the key.
    pub granted: u64,
    /// Whether Customer.io asked to wait, and all do.
    pub held: bool,
    /// Whether a worker of those asked about has stopped sending because Customer.io takes nothing.
    pub circuit_open: bool,
}

/// Reads limits. Changes nothing in Redis.
#[derive(Debug, Clone)]
pub struct UsageReader {
    script: Script,
}

/// What the script answers, as it comes.
type Row = (
    u64,
    Option<u64>,
    Option<u64>,
    Option<u32>,
    Option<u64>,
    Option<u64>,
    Option<u64>,
);

impl Default for UsageReader {
    fn default() -> Self {
        Self {
            script: Script::new(include_str!("usage.lua")),
        }
    }
}

impl UsageReader {
    /// The limit at `key` (see [`super::limit_key`]) as it is now, with the circuit of `whose`
    /// workers. A key that is not there is a limit that nobody uses.
    ///
    /// # Errors
    /// A sentence for the log, when Redis does not answer.
    pub async fn read(
        &self,
        store: &dyn RunScript,
        key: &str,
        whose: &str,
    ) -> Result<LimitReading, String> {
        let mut invocation = self.script.prepare_invoke();
        invocation.key(key).arg(whose);
        let value = store.run_script(&invocation).await?;
        let row: Row = redis::from_redis_value(value).map_err(|error| error.to_string())?;
        Ok(interpret(row))
    }
}

fn interpret((now, next, low, permille, hold, granted, open): Row) -> LimitReading {
    let asked = next.is_some_and(|next| next.saturating_add(SILENCE) > now);
    let later = |moment: Option<u64>| moment.is_some_and(|moment| moment > now);
    let rate = low.and_then(|low| u32::try_from(low).ok());
    let factor = f64::from(permille.unwrap_or(1000)) / 1000.0;
    LimitReading {
        at_us: now,
        requests_per_second: rate.filter(|_| asked).map(|low| f64::from(low) * factor),
        granted: granted.unwrap_or(0),
        held: later(hold),
        circuit_open: later(open),
    }
}

impl LimitReading {
    /// The part of `requests_per_second` that was taken since `before`, 0 to 1; none where that
    /// cannot be said: no time has passed, or the key began anew.
    pub fn used_since(&self, before: &Self, requests_per_second: f64) -> Option<f64> {
        let taken = self.granted.checked_sub(before.granted)?;
        let micros = self.at_us.checked_sub(before.at_us).filter(|us| *us > 0)?;
        let most = requests_per_second * USED * float(micros) / 1e6;
        let used = float(taken) / most;
        used.is_finite().then(|| used.clamp(0.0, 1.0))
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    #[test]
    fn nobody_who_sends_has_no_rate_and_old_marks_mean_nothing() {
        let idle = interpret((NOW, None, None, None, None, None, None));
        assert_eq!((idle.requests_per_second, idle.granted), (None, 0));
        assert!(!idle.held && !idle.circuit_open);
        let (recent, old) = (Some(NOW - 1), Some(NOW - SILENCE));
        for (next, rate) in [(recent, Some(56.0)), (old, None)] {
            let later = Some(NOW + 1);
            let read = interpret((NOW, next, Some(80), Some(700), later, Some(7), later));
            assert_eq!(read.requests_per_second, rate);
            assert!(read.held && read.circuit_open);
            let read = interpret((NOW, next, Some(80), Some(700), recent, Some(7), recent));
            assert!(!read.held && !read.circuit_open);
        }
    }

    #[test]
    fn what_is_used_is_what_was_granted_over_what_could_have_been() {
        let at = |at_us, granted| LimitReading {
            at_us,
            requests_per_second: None,
            granted,
            held: false,
            circuit_open: false,
        };
        let before = at(NOW, 1000);
        for (after, expected) in [
            (at(NOW + 10_000_000, 1784), Some(1.0)),
            (at(NOW + 10_000_000, 1392), Some(0.5)),
            (at(NOW + 10_000_000, 1000), Some(0.0)),
            (at(NOW + 10_000_000, 9000), Some(1.0)),
            (at(NOW + 10_000_000, 5), None),
            (at(NOW, 1000), None),
        ] {
            let used = after.used_since(&before, 80.0);
            assert_eq!(used.is_some(), expected.is_some(), "{after:?}");
            let off = used.unwrap_or(0.0) - expected.unwrap_or(0.0);
            assert!(off.abs() < 1e-9, "{after:?}: {used:?}");
        }
    }
}

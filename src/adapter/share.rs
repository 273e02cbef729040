//! The queue's depth and the pods → each pod's share. Pure.
//!
//! The HPA averages what pods report, so that each pod must report its share and not the whole
//! queue: with the whole queue, any backlog above the target would run to the most pods allowed.

use jiff::Timestamp;

/// One entry of a metric value list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// The pod's namespace.
    pub(super) namespace: String,
    /// The pod's name.
    pub(super) pod: String,
    /// When the sidecar read the queue.
    pub(super) timestamp: Timestamp,
    /// The share, a Kubernetes quantity.
    pub(super) value: String,
}

/// One entry of an external metric value list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Total {
    /// The pipeline.
    pub(super) pipeline: String,
    /// When the sidecar read the queue.
    pub(super) timestamp: Timestamp,
    /// The whole queue, a Kubernetes quantity.
    pub(super) value: String,
}

/// The whole `depth`, as a quantity: the HPA divides it by itself, by its `replicas`. `most` jobs for
/// each of them at most, where given.
pub(super) fn total(depth: u64, replicas: usize, most: Option<u64>) -> String {
    let replicas = u64::try_from(replicas).unwrap_or(u64::MAX);
    let most = most.map_or(u64::MAX, |jobs| jobs.saturating_mul(replicas));
    depth.min(most).to_string()
}

/// What each of `pods` has of `depth` jobs, as a quantity in thousandths, rounded down: rounded
/// to the nearest, the sum could exceed the depth by a hair, which the HPA answers with a pod too
/// many. `most` jobs at most, where given. None where there are no pods.
pub(super) fn share(depth: u64, pods: usize, most: Option<u64>) -> Option<String> {
    let pods = u128::try_from(pods).ok()?;
    let milli = (u128::from(depth) * 1000).checked_div(pods)?;
    let most = most.map_or(u128::MAX, |jobs| u128::from(jobs) * 1000);
    Some(quantity(milli.min(most)))
}

/// Thousandths as Kubernetes writes them: `333333m`, or `500` where they are whole.
fn quantity(milli: u128) -> String {
    if milli.is_multiple_of(1000) {
        (milli / 1000).to_string()
    } else {
        format!("{milli}m")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_are_quantities_rounded_down() {
        for (depth, pods, expected) in [
            (0, 2, "0"),
            (2000, 4, "500"),
            (2000, 3, "666666m"),
            (4000, 6, "666666m"),
            (1, 3, "333m"),
            (1, 2, "500m"),
            (1, 2000, "0"),
            (u64::MAX, 1, "18446744073709551615"),
        ] {
            assert_eq!(
                share(depth, pods, None).as_deref(),
                Some(expected),
                "{depth} over {pods}"
            );
        }
        assert_eq!(share(5, 0, None), None);
    }

    #[test]
    fn a_share_that_is_held_is_never_above_the_target_and_may_be_below() {
        for (depth, pods, expected) in [
            (4000, 2, "500"),
            (1001, 2, "500"),
            (1000, 2, "500"),
            (999, 2, "499500m"),
        ] {
            let held = share(depth, pods, Some(500));
            assert_eq!(held.as_deref(), Some(expected), "{depth} over {pods}");
        }
    }

    #[test]
    fn a_total_is_the_depth_and_held_it_asks_for_no_further_pod() {
        for (depth, pods, most, expected) in [
            (2000, 4, None, "2000"),
            (0, 1, None, "0"),
            (4000, 2, Some(500), "1000"),
            (999, 2, Some(500), "999"),
            (u64::MAX, 3, Some(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(total(depth, pods, most), expected, "{depth} over {pods}");
        }
    }

    fn milli(quantity: &str) -> u128 {
        match quantity.strip_suffix('m') {
            Some(milli) => milli.parse().unwrap(),
            None => quantity.parse::<u128>().unwrap() * 1000,
        }
    }

    proptest! {
        #[test]
        fn the_sum_never_exceeds_the_depth_and_misses_less_than_a_thousandth_per_pod(
            depth: u64, pods in 1_usize..5000,
        ) {
            let sum = milli(&share(depth, pods, None).unwrap()) * pods as u128;
            let whole = u128::from(depth) * 1000;
            prop_assert!(sum <= whole && whole - sum < pods as u128);
        }
    }
}

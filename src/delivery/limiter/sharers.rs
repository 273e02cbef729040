//! Who shares a workspace's limit: from the hash that `limit.lua` keeps, to the rates that are set. Pure.

use std::collections::BTreeMap;

/// What each sharer whose setting counts at `now_us`, by Redis' clock, is set to, in requests/s.
pub fn rates(fields: &BTreeMap<String, String>, now_us: u64) -> Vec<u64> {
    let sharers = fields.iter().filter(|(name, _)| name.starts_with("m:"));
    let rate = |value: &str| {
        let (rate, until) = value.split_once(':')?;
        let until: u64 = until.parse().ok()?;
        (until >= now_us).then(|| rate.parse().ok()).flatten()
    };
    sharers.filter_map(|(_, value)| rate(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_counts_until_its_time_is_over() {
        let fields = [
            ("next", "5"),
            ("m:a", "80:1000"),
            ("m:b", "40:999"),
            ("m:c", "nonsense"),
            ("m:d", "20:2000"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(rates(&fields.into(), 1_000), [80, 20]);
    }
}

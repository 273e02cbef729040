//! Pure: the state as a page for people, without any outside resource.

use std::fmt::Write;

use super::workspace::State;

/// Pixels of the highest bar, and of a bar with its gap.
const HEIGHT: u32 = 120;
const STEP: usize = 6;

/// The numbers, and a bar for each of the last seconds.
pub(super) fn page(state: &State, seconds: &[u32]) -> String {
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <title>Customer.io simulator</title><style>body{{font:16px system-ui;margin:2rem}}\
         td{{padding:.2rem 1.5rem .2rem 0}}td+td{{text-align:right;font-variant-numeric:tabular-nums}}</style>\
         <h1>Customer.io simulator</h1><p>Not the real thing: nothing leaves this process.</p>\
         <table>{}</table><h2>Requests per second, last two minutes</h2>{}</html>",
        rows(state),
        bars(seconds)
    )
}

fn rows(state: &State) -> String {
    let (store, traffic) = (&state.store, &state.traffic);
    let fixed = [
        ("people", store.people as u64),
        ("events", store.events),
        ("duplicates", store.duplicates),
        ("identifies", store.identifies),
        ("deletes", store.deletes),
        ("device changes", store.device_changes),
        ("merges", store.merges),
        ("segment changes", store.segment_changes),
        ("forms", store.forms),
        ("reports", store.reports),
        ("unsubscribes", store.unsubscribes),
        ("relationships", store.relationships),
        ("suppressed", store.suppressed as u64),
        ("dropped", store.dropped),
        ("invalid", store.invalid),
        ("requests", traffic.requests),
        (
            "most requests in any second",
            traffic.max_requests_in_any_second as u64,
        ),
        ("throttled", traffic.throttled),
    ];
    let fixed = fixed.map(|(name, count)| row(name, count)).concat();
    let by_status = traffic
        .requests_by_status
        .iter()
        .map(|(status, count)| row(&format!("answers {status}"), *count));
    fixed + &by_status.collect::<String>()
}

fn row(name: &str, count: u64) -> String {
    format!("<tr><td>{name}</td><td>{count}</td></tr>")
}

fn bars(seconds: &[u32]) -> String {
    let most = seconds.iter().copied().max().unwrap_or(0);
    let width = seconds.len() * STEP;
    let mut svg = format!("<svg width={width} height={} role=img>", HEIGHT + 20);
    for (index, count) in seconds.iter().enumerate() {
        let height = u64::from(*count) * u64::from(HEIGHT) / u64::from(most.max(1));
        let (x, y) = (index * STEP, u64::from(HEIGHT) - height);
        // Writing to a String cannot fail.
        let _written = write!(
            svg,
            "<rect x={x} y={y} width=5 height={height} fill=#5a6fd8 />"
        );
    }
    let base = HEIGHT + 15;
    format!("{svg}<text x=0 y={base} font-size=12>highest: {most}/s</text></svg>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::store::StoreState;
    use crate::simulator::traffic::Traffic;

    #[test]
    fn the_page_shows_the_numbers_and_asks_nobody_for_anything() {
        let mut traffic = Traffic::default();
        traffic.arrive(0, false);
        traffic.answered(503);
        let state = State {
            store: StoreState {
                people: 7,
                ..StoreState::default()
            },
            traffic: traffic.state(),
        };
        let html = page(&state, &[0, 30, 60]);
        for part in [
            "<td>people</td><td>7</td>",
            "<td>answers 503</td><td>1</td>",
            "<rect x=0 y=120 width=5 height=0 ",
            "<rect x=6 y=60 width=5 height=60 ",
            "<rect x=12 y=0 width=5 height=120 ",
            "highest: 60/s",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("src="));
    }
}

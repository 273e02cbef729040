//! Pure: the state as a page for people, without any outside resource.

use std::fmt::Write;

use serde_json::Value;

const HEIGHT: u32 = 120;

/// The numbers, and a bar for each of the last seconds.
pub(super) fn page(state: &Value, seconds: &[u32]) -> String {
    let rows = [
        "people",
        "events",
        "duplicates",
        "requests",
        "max_requests_in_any_second",
        "throttled",
        "invalid",
    ]
    .map(|name| {
        format!(
            "<tr><td>{}</td><td>{}</td></tr>",
            name.replace('_', " "),
            state[name]
        )
    })
    .concat();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <title>Customer.io simulator</title><style>body{{font:16px system-ui;margin:2rem}}\
         td{{padding:.2rem 1.5rem .2rem 0}}td+td{{text-align:right;font-variant-numeric:tabular-nums}}</style>\
         <h1>Customer.io simulator</h1><p>Not the real thing: nothing leaves this process.</p>\
         <table>{rows}</table><h2>Requests per second, last two minutes</h2>{}",
        bars(seconds)
    )
}

fn bars(seconds: &[u32]) -> String {
    let most = seconds.iter().copied().max().unwrap_or(0).max(1);
    let mut svg = format!("<svg width=720 height={} role=img>", HEIGHT + 20);
    for (index, count) in seconds.iter().enumerate() {
        let height = count * HEIGHT / most;
        let x = index * 6;
        let y = HEIGHT - height;
        // Writing to a String cannot fail.
        let _written = write!(
            svg,
            "<rect x={x} y={y} width=5 height={height} fill=#5a6fd8 />"
        );
    }
    format!(
        "{svg}<text x=0 y={} font-size=12>highest: {most}/s</text></svg>",
        HEIGHT + 15
    )
}

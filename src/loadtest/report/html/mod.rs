//! The page: one file that needs no network, with its plots drawn already. What it shows is the
//! document, which lies in it too.

mod chart;
mod charts;
mod scale;
mod tables;
mod text;

use std::fmt::Write;

use self::tables::{comparison, details, ends, latencies, thresholds, tiles};
use self::text::Escaped;
use super::document::{Outcome, Report};

/// Nothing is fetched, whatever the page says.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("hover.js");

/// The whole file.
pub fn page(report: &Report) -> Result<String, serde_json::Error> {
    // A `<` could end the element that the document lies in.
    let json = serde_json::to_string(report)?.replace('<', "\\u003c");
    let title = Escaped(&report.run);
    let mut body = banner(report);
    body.push_str(&tiles(report));
    body.push_str(&thresholds(report));
    body.push_str(&comparison(report));
    body.push_str(&charts::all(report));
    body.push_str(&latencies(report));
    let (ends, run) = (ends(report), details(report));
    body.push_str(&["<div class=\"pair\">\n", &ends, &run, "</div>\n"].concat());
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
         <title>Load test {title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         <script type=\"application/json\" id=\"report\">{json}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    ))
}

fn banner(report: &Report) -> String {
    let (class, word) = match report.verdict.outcome {
        Outcome::Passed => ("good", "Passed"),
        Outcome::Crossed => ("bad", "Thresholds crossed"),
        Outcome::FellShort => ("bad", "Fell short"),
        Outcome::GotWorse => ("bad", "Worse than the baseline"),
    };
    let mut reasons = String::new();
    for reason in &report.verdict.reasons {
        // Writing to a string cannot fail.
        write!(reasons, "<li>{}</li>", Escaped(reason)).unwrap_or_default();
    }
    let reasons = match reasons.as_str() {
        "" => String::new(),
        _ => format!("<ul>{reasons}</ul>\n"),
    };
    let workspace = &report.workspace;
    format!(
        "<header class=\"{class}\">\n<p class=\"kicker\">cio loadtest · {}</p>\n<h1><span>{word}</span></h1>\n{reasons}\
         <p class=\"where\">workspace <b>{}</b> at <b>{}</b> · run <code>{}</code></p>\n</header>\n",
        report.started_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        Escaped(&workspace.site_id),
        Escaped(&workspace.url),
        Escaped(&report.run),
    )
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_document_lies_in_the_page_as_it_is() {
        let report = sample::report();
        let page = page(&report).unwrap();
        let (_, rest) = page.split_once("id=\"report\">").unwrap();
        let (json, _) = rest.split_once("</script>").unwrap();
        let read: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(read, serde_json::to_value(&report).unwrap());
    }

    #[test]
    fn what_adapting_found_is_in_the_page() {
        let mut report = sample::report();
        report.adapt = Some(crate::loadtest::report::Adapted {
            share: 0.36,
            held_requests_per_second: Some(36.0),
            held_s: 8,
        });
        let page = page(&report).unwrap();
        assert!(page.contains("36 requests/s held for 8 s"), "{page}");
    }

    #[test]
    fn a_run_through_the_queue_has_plots_of_jobs_and_no_word_of_answers() {
        let page = page(&sample::queued()).unwrap();
        let (shown, _) = page.split_once("<script").unwrap();
        for words in [
            "<h3>Jobs</h3>",
            "<h3>Latency to enqueue</h3>",
            "<h3>Latency to acceptance</h3>",
            "<dt>Ended</dt><dd>18<small>90.00 % of the jobs",
            "<td>not added, or failed for good</td><td class=\"n\">2</td>",
            "1 jobs may create users again",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        for words in [
            "429",
            "Requests",
            "two requests",
            "from schedule",
            "Answers",
        ] {
            assert!(!shown.contains(words), "{words}");
        }
    }

    #[test]
    fn nothing_in_a_name_becomes_markup() {
        let mut report = sample::report();
        let name = "</script><img src=x onerror=alert(1)>";
        name.clone_into(&mut report.workspace.site_id);
        name.clone_into(&mut report.thresholds[0].expression);
        assert!(!page(&report).unwrap().contains("<img"));
    }

    #[test]
    fn the_page_names_no_address_to_fetch_from() {
        let page = page(&sample::report()).unwrap();
        for part in ["src=", "url(", "@import", "https://"] {
            assert!(!page.contains(part), "{part}");
        }
    }

    #[test]
    fn a_run_without_an_answer_is_a_page_too() {
        let mut report = sample::report();
        report.histogram.clear();
        report.series.clear();
        let page = page(&report).unwrap();
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }
}

//! The page in a browser, wide and narrow, light and dark.

use std::path::Path;

use serde_json::{Value, json};

use super::browser::open;
use super::{Files, Scene};

/// Measures what a person would see, moves a pointer over a plot, and leaves what it found in the page.
const PROBE: &str = r#"<script>
{
const plots = [...document.querySelectorAll("figure")].map((figure) => {
  const box = figure.querySelector("svg").getBoundingClientRect();
  const paths = [...figure.querySelectorAll("svg path")];
  const labels = [...figure.querySelectorAll(".x span, .y span")];
  return {
    title: figure.querySelector("h3").textContent,
    width: Math.round(box.width), height: Math.round(box.height),
    drawn: paths.filter((it) => it.getTotalLength() > 1).length, paths: paths.length,
    coloured: paths.every((it) => getComputedStyle(it).fill !== "rgb(0, 0, 0)"),
    labels: labels.length, legible: labels.every((it) => parseFloat(getComputedStyle(it).fontSize) >= 11),
  };
});
const field = document.querySelector("[data-over-time] .field"), box = field.getBoundingClientRect();
field.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + 5 }));
const hover = [...document.querySelectorAll("output")].map((it) => it.textContent);
const measured = {
  plots, hover, overflow: document.documentElement.scrollWidth - window.innerWidth, width: window.innerWidth,
  heading: document.querySelector("h1").textContent, background: getComputedStyle(document.body).backgroundColor,
};
document.body.innerHTML = "<pre>" + JSON.stringify(measured) + "</pre>";
}
</script></body>"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_its_plots_and_asks_nobody_for_anything() {
    let faults = [
        r#"{"status": 503, "share": 0.1}"#,
        r#"{"status": 429, "share": 0.1}"#,
    ];
    let options = [
        "--latency",
        "20",
        "--fault",
        faults[0],
        "--fault",
        faults[1],
    ];
    let (scene, files) = (Scene::start(&options).await, Files::new());
    let (page, data) = (files.path("a.html"), files.path("a.json"));
    let load = [
        "--rate",
        "20",
        "--duration",
        "4s",
        "--threshold",
        "cio_errors: count<1",
    ];
    let (code, log) = scene.run(&[&load[..], &["--html", &page, "--json", &data]].concat());
    assert_eq!(code, Some(99), "{log}");
    let text = std::fs::read_to_string(&page).expect("a page");
    let (_, rest) = text.split_once("id=\"report\">").expect("a document");
    let (document, _) = rest.split_once("</script>").expect("its end");
    let document: Value = serde_json::from_str(document).expect("JSON");
    assert_eq!(document, files.json("a.json"));

    // Completed and scheduled; three statuses; three percentiles twice; users.
    shows(
        &page,
        "Thresholds crossed",
        ["Answers", "Latency from send", "Latency from schedule"],
        12,
    );
}

/// Opens `page`, wide and narrow: its `heading`, the three plots that depend on the way of the run, and so
/// many values at the pointer.
pub(crate) fn shows(page: &str, heading: &str, plots: [&str; 3], values: usize) {
    let text = std::fs::read_to_string(page).expect("a page");
    let probed = format!("{page}-probed.html");
    std::fs::write(&probed, text.replace("</body>", PROBE)).expect("a file");
    let backgrounds = [(1_200, false), (400, true)].map(|(width, dark)| {
        let found = measure(Path::new(&probed), width, dark);
        assert_eq!(found["heading"], heading);
        check(&found, width, plots, values);
        found["background"].clone()
    });
    assert_ne!(backgrounds[0], backgrounds[1]);
}

/// What the probe found; nothing went wrong on its way.
fn measure(page: &Path, width: u32, dark: bool) -> Value {
    let opened = open(page, width, dark);
    assert_eq!((opened.console, opened.requests), (Vec::new(), Vec::new()));
    let (_, rest) = opened
        .document
        .split_once("<pre>")
        .expect("what the probe found");
    let (json, _) = rest.split_once("</pre>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

fn check(found: &Value, width: u32, [second, third, fourth]: [&str; 3], values: usize) {
    assert_eq!(
        (&found["width"], &found["overflow"]),
        (&json!(width), &json!(0)),
        "{found}"
    );
    let plots = found["plots"].as_array().expect("plots");
    let titles: Vec<_> = plots.iter().filter_map(|it| it["title"].as_str()).collect();
    let expected = ["Rate", second, third, fourth, "Histogram", "Users"];
    assert_eq!(titles, expected);
    for plot in plots {
        let number = |name: &str| plot[name].as_u64().unwrap_or(0);
        assert!(number("width") >= 250 && number("height") >= 150, "{plot}");
        assert!(
            number("drawn") >= 2 && number("drawn") == number("paths"),
            "{plot}"
        );
        assert!(number("labels") >= 4, "{plot}");
        assert_eq!(
            (&plot["coloured"], &plot["legible"]),
            (&true.into(), &true.into()),
            "{plot}"
        );
    }
    let hover = found["hover"].as_array().expect("values");
    assert_eq!(hover.len(), values, "{found}");
    assert!(
        hover
            .iter()
            .all(|it| it.as_str().is_some_and(|it| !it.is_empty())),
        "{found}"
    );
}

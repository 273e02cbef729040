//! docs/metrics.md and docs/commands.md are what the program has: both are generated.
//! `UPDATE=1 cargo test --test it reference` writes them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use cio_operator::adapter::metrics::AdapterMetrics;
use cio_operator::cli::Cli;
use cio_operator::delivery::metrics::DeliveryMetrics;
use cio_operator::operator::metrics::Metrics as OperatorMetrics;
use cio_operator::operator::{CertificateMetrics, LeaseMetrics, PipelineMetrics, Standing};
use cio_operator::runtime::cluster::RequestMetrics;
use cio_operator::runtime::traces::TraceCounters;
use cio_operator::worker::metrics::WorkerMetrics;
use clap::{Arg, Command, CommandFactory};
use prometheus::{Registry, TextEncoder};

use crate::generated::check;
use crate::support::process::Cio;
use crate::support::redis::{RedisServer, free_port};
use crate::support::{eventually, http};

const METRICS_HEAD: &str = "\
# Metrics

Generated from the program by `UPDATE=1 cargo test --test it reference`; a test holds it current.

Every part serves `/metrics` in Prometheus' text format. A series that is not known is left out, never 0. Where a label has few
values, all its series are there from the start. Alerts on these metrics are in the chart ([runbooks](runbooks/README.md)), and a dashboard.
";

/// Part, port, in a sentence.
const OPERATOR: &str = "`cio operator`, port 8080";
const ADAPTER: &str = "`cio adapter`, port 8081";
const SIDECAR: &str = "`cio metrics`, the sidecar, port 9100 (`spec.sidecar.port`)";
const WORKER: &str = "`cio worker`, port 9101";
const TRACES: &str = "`cio worker`, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set";

#[tokio::test]
async fn the_metrics_reference_is_what_the_parts_serve() {
    let text = |register: &dyn Fn(&Registry)| {
        let registry = Registry::new();
        register(&registry);
        TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap()
    };
    let parts = [
        (
            OPERATOR,
            text(&|registry| {
                OperatorMetrics::new(registry).unwrap();
                LeaseMetrics::new(registry).unwrap();
                CertificateMetrics::new(registry).unwrap();
                PipelineMetrics::register(registry, || vec![one_pipeline()]).unwrap();
                RequestMetrics::new(registry).unwrap();
            }),
        ),
        (
            ADAPTER,
            text(&|registry| {
                AdapterMetrics::new(registry).unwrap();
                RequestMetrics::new(registry).unwrap();
            }),
        ),
        (SIDECAR, sidecar().await),
        (
            WORKER,
            text(&|registry| {
                DeliveryMetrics::new(registry).unwrap();
                WorkerMetrics::new(registry).unwrap();
            }),
        ),
        (
            TRACES,
            text(&|registry| TraceCounters::new().unwrap().register(registry).unwrap()),
        ),
    ];
    let mut page = METRICS_HEAD.to_owned();
    for (part, text) in parts {
        write!(
            page,
            "\n## {part}\n\n| metric | type | labels | |\n|---|---|---|---|\n"
        )
        .unwrap();
        for line in rows(&text) {
            page.push_str(&line);
        }
    }
    check("docs/metrics.md", &page);
}

fn one_pipeline() -> Standing {
    Standing {
        namespace: "shop".to_owned(),
        pipeline: "events".to_owned(),
        ready: true,
        stalled: false,
    }
}

/// What a real sidecar of a real queue serves.
async fn sidecar() -> String {
    let redis = RedisServer::start();
    let port = free_port();
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("CUSTOMERIO_SITE_ID", "site")];
    let _sidecar = Cio::start(&["metrics", "--port", &port.to_string()], &variables);
    eventually("the depth", async || {
        let (_, text) = http::get(&format!("http://127.0.0.1:{port}/metrics")).await?;
        let whole = ["\ncio_queue_depth", "\ncio_limit_used_ratio"];
        whole.iter().all(|it| text.contains(it)).then_some(text)
    })
    .await
}

/// A table's rows, one for each family of a text in Prometheus' format.
fn rows(text: &str) -> Vec<String> {
    let families = text.split("# HELP ").skip(1);
    families
        .map(|family| {
            let (name, rest) = family.split_once(' ').expect("a name");
            let (help, rest) = rest.split_once('\n').expect("a sentence");
            let (kind, samples) = rest.split_once('\n').expect("a type");
            let kind = kind.rsplit(' ').next().expect("a type");
            let labels: Vec<_> = labels(samples)
                .into_iter()
                .map(|it| format!("`{it}`"))
                .collect();
            let help = help.trim_end_matches('.');
            format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
        })
        .collect()
}

/// The names of the labels of some samples, without those that a histogram adds.
fn labels(samples: &str) -> BTreeSet<&str> {
    let braces = samples
        .lines()
        .filter_map(|line| line.split_once('{')?.1.rsplit_once('}'));
    braces
        .flat_map(|(labels, _)| labels.split("\","))
        .filter_map(|label| Some(label.split_once('=')?.0))
        .filter(|label| *label != "le")
        .collect()
}

#[test]
fn every_metric_in_the_source_is_in_the_reference() {
    let page = std::fs::read_to_string(at("docs/metrics.md")).expect("the reference");
    let mut found = 0;
    for room in [
        "operator", "adapter", "metrics", "delivery", "worker", "runtime",
    ] {
        for name in names(&at("src").join(room)) {
            found += 1;
            assert!(
                page.contains(&format!("`{name}`")),
                "{name} of src/{room} is not in docs/metrics.md: let its part register it in tests/it/reference.rs"
            );
        }
    }
    assert!(found > 40, "only {found} names were found");
}

/// The names in the Rust files of a folder that have to do with Prometheus.
fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            names.extend(self::names(&path));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.contains("prometheus::") {
            let literals = text
                .split('"')
                .filter(|it| it.starts_with("cio_") || it.starts_with("bullmq_job_"));
            names.extend(literals.map(|name| name.trim_end_matches('{').to_owned()));
        }
    }
    names.retain(|name| name.chars().all(|it| it.is_ascii_lowercase() || it == '_'));
    names
}

fn at(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const COMMANDS_HEAD: &str = "\
# Commands

Generated from the program by `UPDATE=1 cargo test --test it reference`; a test holds it current. `cio COMMAND --help` says the same.

Results are on standard output, logs on standard error. Exit codes: 0 fine, 1 failed, 2 usage, 99 a threshold was crossed. A flag wins over its
variable. Every command takes `--log FILTER` (`CIO_LOG`), a tracing filter, for example `info,cio_operator::worker=debug`.
";

#[test]
fn the_command_reference_is_what_the_command_line_takes() {
    let mut cli = Cli::command();
    cli.build();
    let mut page = COMMANDS_HEAD.to_owned();
    for command in cli.get_subcommands() {
        describe(&mut page, command, "cio");
    }
    check("docs/commands.md", &page);
}

fn describe(page: &mut String, command: &Command, parent: &str) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    write!(page, "\n## {name}\n\n{about}\n").unwrap();
    let usage = command.clone().render_usage().to_string();
    write!(
        page,
        "\n```\n{}\n```\n",
        usage.trim_start_matches("Usage: ")
    )
    .unwrap();
    let shown = |argument: &&Arg| {
        !argument.is_hide_set() && !["help", "version", "log"].contains(&argument.get_id().as_str())
    };
    let arguments: Vec<_> = command.get_arguments().filter(shown).collect();
    if !arguments.is_empty() {
        page.push_str("\n| argument | variable | default | |\n|---|---|---|---|\n");
    }
    for argument in arguments {
        page.push_str(&row(argument));
    }
    if let Some(example) = command.get_after_help() {
        write!(page, "\n```\n{}\n```\n", example.to_string().trim_end()).unwrap();
    }
    for sub in command.get_subcommands() {
        describe(page, sub, &name);
    }
}

fn row(argument: &Arg) -> String {
    let value = argument.get_value_names().map(|names| {
        names
            .iter()
            .map(clap::builder::Str::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    });
    let takes = argument
        .get_num_args()
        .is_none_or(|range| range.takes_values());
    let short = argument
        .get_short()
        .map(|it| format!("-{it}, "))
        .unwrap_or_default();
    let name = match (argument.get_long(), value.filter(|_| takes)) {
        (Some(long), Some(value)) => format!("{short}--{long} {value}"),
        (Some(long), None) => format!("{short}--{long}"),
        (None, value) => value.unwrap_or_default(),
    };
    let variable = argument
        .get_env()
        .map(|it| format!("`{}`", it.to_string_lossy()))
        .unwrap_or_default();
    let defaults: Vec<_> = argument
        .get_default_values()
        .iter()
        .map(|it| it.to_string_lossy())
        .collect();
    let default = defaults.join(",");
    let default = if default.is_empty() || !takes {
        String::new()
    } else {
        format!("`{default}`")
    };
    let help = argument
        .get_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let cell = |text: &str| {
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('|', "\\|")
    };
    format!("| `{name}` | {variable} | {default} | {} |\n", cell(&help))
}

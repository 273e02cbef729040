//! `cio plan`: arguments → a question to the plan room; printing is in `print`.

mod print;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{CommandError, stdout, yaml};
use crate::api::{self, CioPipeline, DeliveryMode};
use crate::plan::capacity::{Pace, Volume, plan};
use crate::plan::forecast::{Question, Queues, forecast};
use crate::plan::hpa::Autoscaler;
use crate::plan::manifest;
use crate::plan::profile::Profile;

const EXAMPLES: &str = "Examples:
  cio plan --events-per-day 5000000 --peak-factor 4
  cio plan --events-per-day 5000000 -o pipeline.yaml && cio render -f pipeline.yaml
  cio plan --forecast --events-per-day 5000000 --mode single -f pipeline.yaml
  cio plan --forecast --arrivals rates.txt --initial-depth 20000 --minutes 90";

/// Where a manifest begins that says nothing: every number is the resource's default.
const DEFAULT_PIPELINE: &str =
    "{apiVersion: cio.dev/v1alpha1, kind: CioPipeline, metadata: {name: events},
  spec: {queue: {redis: {url: 'redis://redis:6379'}}}}";

/// From a volume to a tier, a capacity and a manifest; with --forecast, what the HPA will do over time.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Plan {
    /// Events (identify and track calls) in a day.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000_000), required_unless_present = "arrivals")]
    events_per_day: Option<u64>,

    /// How much busier the busiest hour is than the average one.
    #[arg(long, value_name = "F", default_value = "3", value_parser = factor)]
    peak_factor: f64,

    /// Bytes of an event's data, as JSON.
    #[arg(long, value_name = "B", default_value_t = 250, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    payload_bytes: u64,

    /// Milliseconds from a request to its answer; `cio loadtest` measures it.
    #[arg(long, value_name = "L", default_value = "100", value_parser = milliseconds)]
    latency_ms: f64,

    /// One request for many events, or for each [default: the pipeline's].
    #[arg(long, value_enum)]
    mode: Option<Mode>,

    /// The workspace's limit in requests/s; 0 is none [default: the pipeline's].
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    requests_per_second: Option<u32>,

    /// A `CioPipeline` whose numbers are used in place of the defaults, and which a manifest keeps but for what the
    /// plan says; - is standard input.
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// table; json; or a file to write the manifest to (- is standard output).
    #[arg(short, long, value_name = "FORMAT|FILE", default_value = "table")]
    output: String,

    /// Writes the manifest to this file besides.
    #[arg(long, value_name = "FILE", conflicts_with = "forecast")]
    manifest: Option<PathBuf>,

    /// What the HPA will do over time: replicas and depth.
    #[arg(long)]
    forecast: bool,

    #[command(flatten)]
    time: Time,
}

/// What only a forecast needs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Forecast")]
struct Time {
    /// A file with lines of `MINUTE EVENTS_PER_SECOND` [default: the average, then the peak for half of the
    /// time, then the average].
    #[arg(long, value_name = "FILE", requires = "forecast")]
    arrivals: Option<PathBuf>,

    /// Jobs in the queue at the start.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "forecast")]
    initial_depth: u32,

    /// How long.
    #[arg(long, value_name = "M", default_value_t = 60, requires = "forecast", value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,

    /// Seconds until an added pod runs.
    #[arg(long, value_name = "S", default_value_t = 5, requires = "forecast", value_parser = clap::value_parser!(u64).range(0..=600))]
    pod_start_seconds: u64,

    /// Microseconds of CPU that an event costs its pod.
    #[arg(long, value_name = "US", default_value_t = 200, requires = "forecast", value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    cpu_us_per_event: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Batch,
    Single,
}

/// What `--output` says.
#[derive(Debug, PartialEq, Eq)]
enum Output<'a> {
    Table,
    Json,
    Manifest(&'a Path),
}

impl Plan {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let output = self.output()?;
        let text = self.text()?;
        let wrong = |error| CommandError::Usage(format!("--file: {error}"));
        let pipeline = api::parse(&text).map_err(wrong)?;
        let mut pace = self.pace(&pipeline);
        if self.forecast {
            return self.run_forecast(&output, &pipeline, pace);
        }
        if self.file.is_none() {
            pace.replicas = None;
        }
        let figures = plan(self.volume(), &pace);
        let write = |file: &Path| {
            let given = yaml::read(&text).context("failed to read the manifest again")?;
            write_manifest(
                file,
                &manifest::manifests(&figures, &pace, &given, &pipeline),
            )
        };
        if let Some(file) = &self.manifest {
            write(file)?;
        }
        match output {
            Output::Json => print::json(&figures),
            Output::Table => stdout::print(&print::table(&figures, &pace)),
            Output::Manifest(file) => {
                write(file)?;
                if file.as_os_str() == "-" {
                    return Ok(());
                }
                stdout::print(&print::table(&figures, &pace))
            }
        }
    }

    fn run_forecast(
        &self,
        output: &Output<'_>,
        pipeline: &CioPipeline,
        pace: Pace,
    ) -> Result<(), CommandError> {
        let volume = self.volume();
        let length = Duration::from_secs(self.time.minutes * 60);
        let (arrivals, queues) = self.arrivals(&pace, length)?;
        let question = Question {
            arrivals,
            queues,
            initial_depth: self.time.initial_depth.into(),
            length,
            volume,
            pace,
            hpa: Autoscaler::of(&pipeline.spec),
            pod_start: Duration::from_secs(self.time.pod_start_seconds),
            // The sidecar reads every 2 s, the adapter keeps an answer for a few.
            depth_age: Duration::from_secs(5),
            cpu_seconds_per_event: f64::from(self.time.cpu_us_per_event) / 1e6,
        };
        match output {
            Output::Json => print::json(&forecast(&question)),
            Output::Table => stdout::print(&print::forecast(&forecast(&question), &question)),
            Output::Manifest(_) => Err(CommandError::Usage(
                "--output: a forecast is printed as table or json; leave --forecast out to write a manifest"
                    .to_owned(),
            )),
        }
    }

    /// What arrives in one pipeline, and how it shares: of a file all, of a volume its part.
    fn arrivals(&self, pace: &Pace, length: Duration) -> Result<(Profile, Queues), CommandError> {
        if let Some(file) = &self.time.arrivals {
            let text = read("--arrivals", file)?;
            let profile = Profile::parse(&text);
            let wrong = |error| CommandError::Usage(format!("--arrivals: {error}"));
            return Ok((profile.map_err(wrong)?, Queues::default()));
        }
        let figures = plan(self.volume(), pace);
        let [average, peak] = [figures.average, figures.peak].map(|it| figures.of_a_shard(it));
        let profile = Profile::peak_hour(average, peak, length.as_secs_f64());
        let queues = Queues {
            all: figures.shards,
            of_a_workspace: figures.shards / figures.workspaces,
        };
        Ok((profile, queues))
    }

    fn output(&self) -> Result<Output<'_>, CommandError> {
        match self.output.as_str() {
            "table" => Ok(Output::Table),
            "json" => Ok(Output::Json),
            format @ ("yaml" | "yml") => Err(CommandError::Usage(format!(
                "--output: {format} is no format here: -o pipeline.yaml writes the manifest to that file, -o - to \
                 standard output"
            ))),
            file => Ok(Output::Manifest(Path::new(file))),
        }
    }

    fn volume(&self) -> Volume {
        Volume {
            // Absent only where --arrivals says what comes.
            events_per_day: self.events_per_day.unwrap_or_default(),
            peak_factor: self.peak_factor,
            payload_bytes: self.payload_bytes,
            latency_ms: self.latency_ms,
        }
    }

    fn text(&self) -> Result<String, CommandError> {
        match &self.file {
            Some(file) => read("--file", file),
            None => Ok(DEFAULT_PIPELINE.to_owned()),
        }
    }

    fn pace(&self, pipeline: &CioPipeline) -> Pace {
        let mut pace = Pace::of(&pipeline.spec);
        if let Some(mode) = self.mode {
            pace.mode = match mode {
                Mode::Batch => DeliveryMode::Batch,
                Mode::Single => DeliveryMode::Single,
            };
        }
        if let Some(limit) = self.requests_per_second {
            pace.requests_per_second = (limit > 0).then_some(limit);
        }
        pace
    }
}

fn read(flag: &str, file: &Path) -> Result<String, CommandError> {
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| {
        CommandError::Usage(format!("{flag}: cannot read {}: {error}", file.display()))
    })
}

/// Never writes what the cluster would refuse.
fn write_manifest(file: &Path, documents: &[Value]) -> Result<(), CommandError> {
    for document in documents {
        let text = yaml::to_string(std::slice::from_ref(document))?;
        manifest::check(&text).context("the manifest is not a valid CioPipeline")?;
    }
    if file.as_os_str() == "-" {
        return yaml::print(documents);
    }
    let text = yaml::to_string(documents)?;
    std::fs::write(file, text)
        .with_context(|| format!("failed to write {}", file.display()))
        .map_err(CommandError::Failed)
}

fn factor(text: &str) -> Result<f64, String> {
    number(text, 1.0, 1000.0)
}

fn milliseconds(text: &str) -> Result<f64, String> {
    number(text, 0.1, 60_000.0)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let read = text.parse::<f64>().ok();
    read.filter(|value| (least..=most).contains(value))
        .ok_or_else(|| format!("a number from {least} to {most}"))
}

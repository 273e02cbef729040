//! What a run leaves to look at, and what it is compared with.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::usage;
use crate::cli::{CommandError, stdout};
use crate::loadtest::profile::Profile;
use crate::loadtest::report::{self, Difference, Report, Way};

/// What the run leaves to look at. Nothing of it holds a key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub(super) struct Outputs {
    /// Write a page with plots and tables; it needs no network.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write the same numbers as JSON; `-` is standard output, and the summary goes to standard error.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Compare with an earlier run's JSON, of the same load; exit 99 where something got worse.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,

    /// By how many percent a number may be worse than the baseline's.
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, requires = "baseline", value_parser = tolerance)]
    tolerance: f64,
}

/// The same, known to be writable and readable.
#[derive(Debug)]
pub(super) struct Ready {
    html: Option<PathBuf>,
    json: Option<PathBuf>,
    baseline: Option<Report>,
    tolerance: f64,
}

impl Outputs {
    /// Finds out before the first request what would fail after the last one.
    pub(super) fn ready(self, profile: &Profile, way: Way) -> Result<Ready, CommandError> {
        let baseline = self
            .baseline
            .map(|path| read(&path, profile, way))
            .transpose()?;
        if let Some(path) = &self.html {
            writable("--html", path)?;
        }
        if let Some(path) = self
            .json
            .as_deref()
            .filter(|path| !is_standard_output(path))
        {
            writable("--json", path)?;
        }
        Ok(Ready {
            html: self.html,
            json: self.json,
            baseline,
            tolerance: self.tolerance,
        })
    }
}

impl Ready {
    /// Prints what a person reads.
    pub(super) fn print(&self, text: &str) -> Result<(), CommandError> {
        if self.json.as_deref().is_some_and(is_standard_output) {
            eprint!("{text}");
            return Ok(());
        }
        stdout::print(text)
    }

    /// Compares and writes the files, before the clean-up: one that is ended loses nothing. A number past the tolerance
    /// is [`CommandError::Crossed`].
    pub(super) fn keep(&self, report: &mut Report) -> Result<(), CommandError> {
        if let Some(baseline) = &self.baseline {
            report::compare(baseline, report, self.tolerance);
        }
        if let Some(comparison) = &report.comparison {
            self.print(&comparison.text())?;
        }
        for path in self.files(report)? {
            eprintln!("report: {}", path.display());
        }
        let worse = report.comparison.iter().flat_map(report::Comparison::worse);
        let worse: Vec<String> = worse.map(Difference::shown).collect();
        if worse.is_empty() {
            return Ok(());
        }
        Err(CommandError::Crossed(format!(
            "worse than the baseline: {}",
            worse.join(", ")
        )))
    }

    /// Writes the files again, with what became of the users.
    pub(super) fn complete(&self, report: &Report) -> Result<(), CommandError> {
        self.files(report)?;
        Ok(())
    }

    /// Writes the document that goes to standard output: once, for it cannot be written again.
    pub(super) fn document(&self, report: &Report) -> Result<(), CommandError> {
        if self.json.as_deref().is_some_and(is_standard_output) {
            stdout::print(&format!("{}\n", json(report)?))?;
        }
        Ok(())
    }

    fn files(&self, report: &Report) -> anyhow::Result<Vec<&Path>> {
        let mut written = Vec::new();
        let file = |path: &&Path| !is_standard_output(path);
        if let Some(path) = self.json.as_deref().filter(file) {
            save(path, &json(report)?)?;
            written.push(path);
        }
        if let Some(path) = &self.html {
            let page = report::page(report).context("write the report as a page")?;
            save(path, &page)?;
            written.push(path);
        }
        Ok(written)
    }
}

fn json(report: &Report) -> anyhow::Result<String> {
    serde_json::to_string(report).context("write the report as JSON")
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn read(path: &Path, profile: &Profile, way: Way) -> Result<Report, CommandError> {
    let named =
        |error: &dyn std::fmt::Display| usage(format!("--baseline {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    report::read_baseline(&text, profile, way).map_err(|error| named(&error))
}

/// Opens the file without changing it.
fn writable(flag: &str, path: &Path) -> Result<(), CommandError> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened
        .map(drop)
        .map_err(|error| usage(format!("{flag}: cannot write {}: {error}", path.display())))
}

fn is_standard_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn tolerance(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|it| (0.0..=1_000.0).contains(it));
    percent.ok_or_else(|| "write percent from 0 to 1000".to_owned())
}

//! Several `cio worker`s that are killed and started again, and how much memory each takes.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tempfile::TempDir;

use crate::support::memory::resident_kib;
use crate::support::process::Cio;
use crate::worker::bench::QUEUE;

const WORKERS: usize = 3;
/// This one is left alone, so that its memory can be followed to the end.
const SPARED: usize = 0;
/// The bound.
const MOST_KIB: u64 = 64 * 1024;

/// What was seen of a process: when, and its resident KiB.
type Samples = Vec<(Duration, u64)>;

pub(super) struct Workers {
    variables: Vec<(&'static str, String)>,
    folder: TempDir,
    running: Vec<Option<Cio>>,
    samples: Vec<Samples>,
    /// Which of the samples are whose.
    current: Vec<usize>,
    kills: usize,
    logs: Vec<PathBuf>,
}

impl Workers {
    pub(super) fn start(redis: &str, simulator: &str, mode: &str) -> Self {
        let variables = [
            ("REDIS_URL", redis),
            ("CIO_QUEUE", QUEUE),
            ("CUSTOMERIO_SITE_ID", "site"),
            ("CUSTOMERIO_TRACK_API_KEY", "key"),
            ("CUSTOMERIO_TRACK_URL", simulator),
            ("CIO_DELIVERY_MODE", mode),
            ("CIO_METRICS_PORT", "0"),
            // A tenth of BullMQ's own, so that a killed worker's jobs come back within the test.
            ("CIO_LOCK_DURATION_MS", "3000"),
            ("CIO_STALLED_INTERVAL_MS", "1500"),
        ];
        let mut workers = Self {
            variables: variables
                .map(|(name, value)| (name, value.to_owned()))
                .to_vec(),
            folder: tempfile::tempdir().expect("a folder"),
            running: (0..WORKERS).map(|_| None).collect(),
            samples: Vec::new(),
            current: vec![0; WORKERS],
            kills: 0,
            logs: Vec::new(),
        };
        workers.start_missing();
        workers
    }

    /// Starts again whoever was killed. Whoever ended by itself is a failure.
    pub(super) fn start_missing(&mut self) {
        for index in 0..WORKERS {
            if let Some(worker) = &mut self.running[index] {
                if let Some(status) = worker.ended() {
                    self.show_logs();
                    panic!("a worker ended by itself: {status}");
                }
                continue;
            }
            let path = self
                .folder
                .path()
                .join(format!("worker-{}.log", self.logs.len()));
            let log = File::create(&path).expect("a log");
            self.logs.push(path);
            let variables: Vec<_> = self
                .variables
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            self.running[index] = Some(Cio::start_logging(&["worker"], &variables, log));
            self.current[index] = self.samples.len();
            self.samples.push(Samples::new());
        }
    }

    /// Kills one with SIGKILL.
    pub(super) fn kill_one(&mut self, random: &mut StdRng) {
        let index = random.random_range(SPARED + 1..WORKERS);
        // Dropping it kills it.
        self.running[index] = None;
        self.kills += 1;
    }

    /// Notes how much memory each takes.
    pub(super) fn look(&mut self, at: Duration) {
        for (index, worker) in self.running.iter().enumerate() {
            let resident = worker
                .as_ref()
                .and_then(|worker| resident_kib(worker.pid()));
            if let Some(resident) = resident {
                self.samples[self.current[index]].push((at, resident));
            }
        }
    }

    pub(super) fn report(&self) {
        println!(
            "{} workers were killed; resident MiB of each process:",
            self.kills
        );
        for (index, samples) in self.samples.iter().enumerate() {
            let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
                continue;
            };
            let quarters = quarters(samples).map(|it| format!("{:.1}", mib(it)));
            println!(
                "  {index:3}: {:6.1} s to {:6.1} s: min {:.1}, median {:.1}, max {:.1}; quarters {}",
                first.0.as_secs_f64(),
                last.0.as_secs_f64(),
                mib(samples.iter().map(|it| it.1).min().unwrap_or(0)),
                mib(median(samples)),
                mib(samples.iter().map(|it| it.1).max().unwrap_or(0)),
                quarters.join(" ")
            );
        }
    }

    /// Memory is small, and over a long run flat; every worker ends cleanly, and none panicked or
    /// named anybody in its log.
    pub(super) fn judge(mut self, long: bool) {
        let most = self
            .samples
            .iter()
            .flatten()
            .map(|it| it.1)
            .max()
            .unwrap_or(0);
        assert!(most < MOST_KIB, "a worker took {:.1} MiB", mib(most));
        if long {
            let [_, second, _, last] = quarters(&self.samples[self.current[SPARED]]);
            assert!(
                last * 4 <= second * 5,
                "memory grew from {second} to {last} KiB"
            );
        }
        for worker in self.running.drain(..).flatten() {
            let (code, _) = worker.terminate();
            assert_eq!(code, Some(0));
        }
        for log in &self.logs {
            let said = std::fs::read_to_string(log).expect("a log");
            assert!(!said.contains("panicked"), "{said}");
            assert!(
                !said.contains("soak-") && !said.contains("soak.example.com"),
                "{said}"
            );
        }
    }

    /// The end of each log.
    pub(super) fn show_logs(&self) {
        for log in self.logs.iter().rev().take(WORKERS) {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<_> = text.lines().collect();
            let end = lines[lines.len().saturating_sub(20)..].join("\n");
            println!("{}:\n{end}", log.display());
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn median(samples: &[(Duration, u64)]) -> u64 {
    let mut sizes: Vec<_> = samples.iter().map(|it| it.1).collect();
    sizes.sort_unstable();
    sizes.get(sizes.len() / 2).copied().unwrap_or(0)
}

/// The median of each quarter of its life.
fn quarters(samples: &[(Duration, u64)]) -> [u64; 4] {
    let count = samples.len();
    [0, 1, 2, 3].map(|it| median(&samples[count * it / 4..count * (it + 1) / 4]))
}

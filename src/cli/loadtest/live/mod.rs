//! The live view of a terminal: what happened second by second, drawn anew each second.

mod draw;
mod screen;

use std::collections::VecDeque;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::screen::Screen;
use super::progress::{Meter, Rates};
use crate::loadtest::histogram::percentile_since;
use crate::loadtest::recorder::Recorder;
use crate::loadtest::run::{Settings, Tick};

/// Seconds that the plots show at most; of a longer run the latest.
const SECONDS: usize = 600;

/// A view on the terminal.
#[derive(Debug)]
pub(super) struct Live {
    screen: Screen,
    view: View,
}

/// What is shown.
#[derive(Debug)]
struct View {
    title: String,
    max_users: usize,
    length: Duration,
    elapsed: Duration,
    offered: f64,
    rates: Rates,
    numbers: Recorder,
    seconds: VecDeque<Second>,
    meter: Meter,
}

/// One second, for the plots.
#[derive(Debug, Clone, Copy)]
struct Second {
    at: f64,
    offered: f64,
    achieved: f64,
    /// The 95th percentiles of the requests that ended in it, in ms; nothing where none did.
    from_send: Option<f64>,
    from_schedule: Option<f64>,
}

impl Live {
    /// A view, where standard error is a terminal that can show one. It is given back at `stop`: from
    /// then on a second signal may end the process at any time.
    pub(super) fn open(phase: &str, settings: &Settings, stop: &CancellationToken) -> Option<Self> {
        let screen = Screen::open()?;
        let (closing, stop) = (screen.clone(), stop.clone());
        tokio::spawn(async move {
            stop.cancelled().await;
            closing.close();
        });
        let title = format!(
            "cio loadtest, {phase}: {} at {}",
            settings.header.site_id, settings.header.url
        );
        let view = View::new(title, settings.profile.max_users);
        Some(Self { screen, view })
    }

    /// Whether it is still there.
    pub(super) fn is_open(&self) -> bool {
        self.screen.is_open()
    }

    /// Shows one more second.
    pub(super) fn show(&mut self, tick: &Tick<'_>) {
        self.view.look(tick);
        let (view, colour) = (&self.view, self.screen.colour());
        self.screen.draw(|frame| draw::view(frame, view, colour));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.screen.close();
    }
}

impl View {
    fn new(title: String, max_users: usize) -> Self {
        Self {
            title,
            max_users,
            length: Duration::ZERO,
            elapsed: Duration::ZERO,
            offered: 0.0,
            rates: Rates {
                iterations: 0.0,
                requests: 0.0,
            },
            numbers: Recorder::default(),
            seconds: VecDeque::new(),
            meter: Meter::default(),
        }
    }

    fn look(&mut self, tick: &Tick<'_>) {
        self.rates = self.meter.read(tick);
        let (now, before) = (tick.numbers, &self.numbers);
        let p95 = |pairs: [_; 2]| percentile_since(&pairs, 95.0);
        let second = Second {
            at: tick.elapsed.as_secs_f64(),
            offered: tick.offered,
            achieved: self.rates.iterations,
            from_send: p95([
                (&now.identify.from_send, &before.identify.from_send),
                (&now.track.from_send, &before.track.from_send),
            ]),
            from_schedule: p95([
                (&now.identify.from_schedule, &before.identify.from_schedule),
                (&now.track.from_schedule, &before.track.from_schedule),
            ]),
        };
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
        self.numbers = tick.numbers.clone();
        (self.length, self.elapsed, self.offered) = (tick.length, tick.elapsed, tick.offered);
    }
}

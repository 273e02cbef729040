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
use crate::loadtest::report::Way;
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
    way: Way,
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
    /// The 95th percentiles of what ended in it, in ms; nothing where nothing did. From send and from
    /// schedule, or to enqueue and to acceptance.
    latency: [Option<f64>; 2],
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
        let (way, whither) = match &settings.queue {
            None => (Way::Api, settings.header.url.clone()),
            Some(target) => (Way::Queue, format!("queue {}", target.queue)),
        };
        let title = format!(
            "cio loadtest, {phase}: {} at {whither}",
            settings.header.site_id
        );
        let view = View::new(title, way, settings.profile.max_users);
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
    fn new(title: String, way: Way, max_users: usize) -> Self {
        Self {
            title,
            way,
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
        let p95 = |pairs: &[_]| percentile_since(pairs, 95.0);
        let second = Second {
            at: tick.elapsed.as_secs_f64(),
            offered: tick.offered,
            achieved: self.rates.iterations,
            latency: match self.way {
                Way::Api => [
                    p95(&[
                        (&now.identify.from_send, &before.identify.from_send),
                        (&now.track.from_send, &before.track.from_send),
                    ]),
                    p95(&[
                        (&now.identify.from_schedule, &before.identify.from_schedule),
                        (&now.track.from_schedule, &before.track.from_schedule),
                    ]),
                ],
                Way::Queue => [
                    p95(&[(&now.enqueue, &before.enqueue)]),
                    p95(&[(&now.lag, &before.lag)]),
                ],
            },
        };
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
        self.numbers = tick.numbers.clone();
        (self.length, self.elapsed, self.offered) = (tick.length, tick.elapsed, tick.offered);
    }
}
